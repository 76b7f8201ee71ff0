-- Let a job's time count in the means.
-- KEYS[1] means of its workload, KEYS[2] of its kind
-- ARGV[1] JSON: milliseconds `step`, `beside`, `whole`; `weight` of a new one, 0 to 1; `kept_seconds`
local time = cjson.decode(ARGV[1])
local function note(key, field)
  local mean = tonumber(redis.call('HGET', key, field) or time[field])
  redis.call('HSET', key, field, mean + time.weight * (time[field] - mean))
  redis.call('EXPIRE', key, time.kept_seconds)
end
note(KEYS[1], 'step')
note(KEYS[1], 'beside')
note(KEYS[2], 'whole')
