-- Confirm that a job's data is gone; what is left to drop is its place in the index, once its record has expired.
-- KEYS[1] times at which data goes, KEYS[2] times at which places in the index go, KEYS[3] job hash
-- ARGV[1] member, `<tenant>:<job>`
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('ZADD', KEYS[2], now + math.max(redis.call('PTTL', KEYS[3]), 0), ARGV[1])
