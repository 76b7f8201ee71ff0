-- Reserve space for an upload, and schedule its deletion.
-- uses: clock quota
-- keys: uploads kept tenant
-- args: storage `key`; its `item` in quota.lua; `seconds` until it is deleted; `bytes`; `limits`
-- Returns the name of the limit that would be exceeded; empty if there is none.
local full = lacks(keys.kept, keys.tenant, args.limits, {stored_bytes = math.max(args.bytes, 1)})
if full then
  return full
end
redis.call('ZADD', keys.uploads, string.format('%.3f', now_ms() / 1000 + args.seconds), args.key)
keep(keys.kept, args.item, args.bytes)
return ''
