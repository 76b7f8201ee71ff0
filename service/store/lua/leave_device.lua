-- Record that an attempt no longer uses its device, if it holds the job.
-- uses: clock held
-- keys: job
-- args: `attempt` and `held` as in held.lua
-- Returns the job's state; empty if the attempt no longer holds it.
local status = state_if_held(keys.job, args)
if status then
  redis.call('HSETNX', keys.job, 'left_ms', now_ms())
end
return status or ''
