-- Let a job's time count in the means.
-- keys: workload_times kind_times
-- asks: milliseconds `step`, `beside`, `whole`; `weight` of a new one, 0 to 1; `kept_seconds`
local function note(key, field)
  local mean = tonumber(redis.call('HGET', key, field) or ask[field])
  redis.call('HSET', key, field, mean + ask.weight * (ask[field] - mean))
  redis.call('EXPIRE', key, ask.kept_seconds)
end
note(keys.workload_times, 'step')
note(keys.workload_times, 'beside')
note(keys.kind_times, 'whole')
