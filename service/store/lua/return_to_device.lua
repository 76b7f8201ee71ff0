-- Record that an attempt uses its device again, if it holds the job and had left it: the time between doesn't count.
-- uses: clock held
-- keys: job
-- args: `attempt` and `held` as in held.lua
-- Returns the job's state; empty if the attempt no longer holds it.
local status = state_if_held(keys.job, args)
local left = status and redis.call('HGET', keys.job, 'left_ms')
if left then
  redis.call('HINCRBY', keys.job, 'taken_ms', now_ms() - left)
  redis.call('HDEL', keys.job, 'left_ms')
end
return status or ''
