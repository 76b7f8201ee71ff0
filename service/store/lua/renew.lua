-- Renew the lease of an attempt.
-- uses: clock held
-- keys: job leases
-- args: job `id`; `attempt` and `held` as in held.lua; `lease_ms`
-- Returns the job's state; empty if the attempt no longer holds it.
local status = state_if_held(keys.job, args)
if not status then
  return ''
end
redis.call('ZADD', keys.leases, now_ms() + args.lease_ms, args.id)
return status
