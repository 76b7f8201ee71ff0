-- Count a request against a rate: a bucket that leaks evenly (generic cell rate algorithm).
-- KEYS[1] when the bucket will be empty, KEYS[2] the tenant whose limit it is
-- ARGV[1] the period of the limit in milliseconds
-- Returns the limit, 1 or 0 for allowed, how many are left, milliseconds until all are there again, milliseconds until the
-- next; nothing where the tenant has no limit.
local limit = tonumber(redis.call('HGET', KEYS[2], 'requests_per_minute'))
if not limit then
  return false
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local period = tonumber(ARGV[1])
local interval = period / limit
local empty = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now)
if empty + interval - now > period + 0.5 then
  return {limit, 0, 0, math.ceil(empty - now), math.ceil(empty + interval - now - period)}
end
empty = empty + interval
redis.call('SET', KEYS[1], string.format('%.3f', empty), 'PX', math.ceil(empty - now) + 1)
return {limit, 1, math.floor((period - (empty - now)) / interval + 0.001), math.ceil(empty - now), 0}
