-- Make room for an upload, and note when it goes.
-- uses: clock usage
-- keys: uploads usage tenant
-- args: `key` in the storage, `item` of the usage, `seconds` until it goes, `bytes`, `limits`
-- Returns the name of the limit that leaves no room; empty where there is.
local full = lacks(keys.usage, keys.tenant, args.limits, {stored_bytes = math.max(args.bytes, 1)})
if full then
  return full
end
redis.call('ZADD', keys.uploads, string.format('%.3f', now_ms() / 1000 + args.seconds), args.key)
keep(keys.usage, args.item, args.bytes)
return ''
