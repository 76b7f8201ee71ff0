-- Renew the lease of an attempt.
-- uses: clock
-- keys: job leases
-- asks: job `id`, `attempt`, a string; `lease_ms`
-- Returns the state that the job is in; empty where the attempt no longer holds it.
local status, attempt = unpack(redis.call('HMGET', keys.job, 'status', 'attempt'))
if attempt ~= ask.attempt or (status ~= 'running' and status ~= 'canceling') then
  return ''
end
redis.call('ZADD', keys.leases, now_ms() + ask.lease_ms, ask.id)
return status
