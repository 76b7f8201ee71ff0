-- Choose the id of a future job by the clock, and schedule the removal of its stored input, unless the job is created
-- before; its limits must allow both.
-- uses: clock quota budget
-- keys: removals kept tenant
-- args: `prefix` and `suffix` of the id, between which are 12 hexadecimal digits of Unix milliseconds; `wait_ms` until the
-- removal; `stored_bytes` of its input; `limits`; `tenant`, prefix of the `months` of usage. A job without an input counts
-- as one byte, as its output will be stored.
-- Returns the name of the limit that would be exceeded, `budget` if that is used up, empty if there is none; and the id.
local full = lacks(keys.kept, keys.tenant, args.limits, {records = 1, stored_bytes = math.max(args.stored_bytes, 1)})
if full then
  return {full, ''}
end
local now = now_ms()
if is_spent(keys, args, now) then
  return {'budget', ''}
end
local id = args.prefix .. string.format('%012x', now) .. args.suffix
redis.call('ZADD', keys.removals, now + args.wait_ms, args.tenant .. ':' .. id)
if args.stored_bytes > 0 then
  keep(keys.kept, 'inputs/' .. id, args.stored_bytes)
end
return {'', id}
