-- Count a request against a rate limit, with a leaky bucket (generic cell rate algorithm).
-- uses: clock
-- keys: rate tenant
-- `rate` contains the time when the bucket will be empty.
-- args: `period_ms` of the limit
-- Returns the limit, whether the request is allowed (1 or 0), how many are left, milliseconds until the full limit is
-- available again, and milliseconds until the next request is allowed; false if the tenant has no limit.
local limit = tonumber(redis.call('HGET', keys.tenant, 'requests_per_minute'))
if not limit then
  return false
end
local now, period = now_ms(), args.period_ms
local interval = period / limit
local empty = math.max(tonumber(redis.call('GET', keys.rate) or 0), now)
if empty + interval - now > period + 0.5 then
  return {limit, 0, 0, math.ceil(empty - now), math.ceil(empty + interval - now - period)}
end
empty = empty + interval
redis.call('SET', keys.rate, string.format('%.3f', empty), 'PX', math.ceil(empty - now) + 1)
return {limit, 1, math.floor((period - (empty - now)) / interval + 0.001), math.ceil(empty - now), 0}
