-- Let a job's time count in the means.
-- keys: workload_times kind_times
-- args: milliseconds `step`, `beside`, `whole`; `weight` of a new one, 0 to 1; `kept_seconds`
local function note(key, field)
  local mean = tonumber(redis.call('HGET', key, field) or args[field])
  redis.call('HSET', key, field, mean + args.weight * (args[field] - mean))
  redis.call('EXPIRE', key, args.kept_seconds)
end
note(keys.workload_times, 'step')
note(keys.workload_times, 'beside')
note(keys.kind_times, 'whole')
