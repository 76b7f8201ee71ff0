-- Renew the lease of an attempt.
-- uses: clock
-- keys: job leases
-- args: job `id`; `attempt`, a string; states in which a worker holds a job (`held`); `lease_ms`
-- Returns the job's state; empty if the attempt no longer holds it.
local status, attempt = unpack(redis.call('HMGET', keys.job, 'status', 'attempt'))
if attempt ~= args.attempt or not args.held[status] then
  return ''
end
redis.call('ZADD', keys.leases, now_ms() + args.lease_ms, args.id)
return status
