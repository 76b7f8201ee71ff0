-- Have what is stored for a job to be removed after a time, unless the job is made before.
-- KEYS[1] times at which data goes
-- ARGV[1] member, `<tenant>:<job>`, ARGV[2] milliseconds until then
local time = redis.call('TIME')
redis.call('ZADD', KEYS[1], time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[2], ARGV[1])
