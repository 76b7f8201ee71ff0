-- Have what is stored for a job removed after a time, unless the job is made before; there must be room for both.
-- uses: clock quota
-- keys: removals kept tenant
-- args: `member`, `<tenant>:<job>`; `id` of the job, `wait_ms` until then, `stored_bytes` of its input, `limits`; a job
-- without an input leaves something, too
-- Returns the name of the limit that leaves no room; empty where there is.
local full = lacks(keys.kept, keys.tenant, args.limits, {records = 1, stored_bytes = math.max(args.stored_bytes, 1)})
if full then
  return full
end
redis.call('ZADD', keys.removals, now_ms() + args.wait_ms, args.member)
if args.stored_bytes > 0 then
  keep(keys.kept, 'inputs/' .. args.id, args.stored_bytes)
end
return ''
