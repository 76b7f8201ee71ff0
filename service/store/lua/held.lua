-- The state of a job if an attempt still holds it, else nil.
-- `given`: `attempt`, a string; `held`: the states in which a worker holds a job
local function state_if_held(job, given)
  local status, attempt = unpack(redis.call('HMGET', job, 'status', 'attempt'))
  if status and given.held[status] and attempt == given.attempt then
    return status
  end
end

