-- Count a request against a rate: a bucket that leaks evenly (generic cell rate algorithm).
-- KEYS[1] when the bucket will be empty
-- ARGV[1] requests in a period, ARGV[2] the period in milliseconds
-- Returns 1 or 0 for allowed, how many are left, milliseconds until all are there again, milliseconds until the next.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local period = tonumber(ARGV[2])
local interval = period / ARGV[1]
local empty = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now)
if empty + interval - now > period + 0.5 then
  return {0, 0, math.ceil(empty - now), math.ceil(empty + interval - now - period)}
end
empty = empty + interval
redis.call('SET', KEYS[1], string.format('%.3f', empty), 'PX', math.ceil(empty - now) + 1)
return {1, math.floor((period - (empty - now)) / interval + 0.001), math.ceil(empty - now), 0}
