-- Make room for an upload, and note when it goes.
-- uses: clock quota
-- keys: uploads kept tenant
-- args: `key` in the storage, `item` that is kept, `seconds` until it goes, `bytes`, `limits`
-- Returns the name of the limit that leaves no room; empty where there is.
local full = lacks(keys.kept, keys.tenant, args.limits, {stored_bytes = math.max(args.bytes, 1)})
if full then
  return full
end
redis.call('ZADD', keys.uploads, string.format('%.3f', now_ms() / 1000 + args.seconds), args.key)
keep(keys.kept, args.item, args.bytes)
return ''
