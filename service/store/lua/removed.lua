-- Confirm that a job's data is gone, which its record tells from now on; what is left to drop is its place in the index,
-- once that record has expired.
-- KEYS[1] times at which data goes, KEYS[2] times at which places in the index go, KEYS[3] job hash,
-- KEYS[4] the job whose input this one had, where that is not its own, KEYS[5] the tenant's usage
-- ARGV[1] member, `<tenant>:<job>`, ARGV[2] job id, ARGV[3] prefix of the holders of an input
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if redis.call('HEXISTS', KEYS[3], 'removal_begun') == 1 then
  redis.call('HSET', KEYS[3], 'data_removed', 1)
end
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('ZADD', KEYS[2], now + math.max(redis.call('PTTL', KEYS[3]), 0), ARGV[1])
local owner = redis.call('GET', KEYS[4]) or ARGV[2]
redis.call('DEL', KEYS[4])
if redis.call('EXISTS', ARGV[3] .. owner) == 0 then
  release(KEYS[5], 'inputs/' .. owner)
end
release(KEYS[5], 'jobs/' .. ARGV[2])
release(KEYS[5], 'checkpoints/' .. ARGV[2])
