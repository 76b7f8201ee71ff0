-- Add a job's durations to the moving averages.
-- keys: workload_times kind_times
-- args: milliseconds per `step`, outside the steps (`beside`), and until the next job could start (`occupied`); `weight` of a
-- new value, 0 to 1; `kept_seconds`
local function note(key, field)
  local mean = tonumber(redis.call('HGET', key, field) or args[field])
  redis.call('HSET', key, field, mean + args.weight * (args[field] - mean))
  redis.call('EXPIRE', key, args.kept_seconds)
end
note(keys.workload_times, 'step')
note(keys.workload_times, 'beside')
note(keys.kind_times, 'occupied')
