-- Schedule the removal of a job's stored input, unless the job is created before; its limits must allow both.
-- uses: clock quota
-- keys: removals kept tenant
-- args: `member`, `<tenant>:<job>`; `id` of the job; `wait_ms` until the removal; `stored_bytes` of its input; `limits`. A
-- job without an input counts as one byte, as its output will be stored.
-- Returns the name of the limit that would be exceeded; empty if there is none.
local full = lacks(keys.kept, keys.tenant, args.limits, {records = 1, stored_bytes = math.max(args.stored_bytes, 1)})
if full then
  return full
end
redis.call('ZADD', keys.removals, now_ms() + args.wait_ms, args.member)
if args.stored_bytes > 0 then
  keep(keys.kept, 'inputs/' .. args.id, args.stored_bytes)
end
return ''
