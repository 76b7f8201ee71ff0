-- Write a new job and put it at the end of its line.
-- KEYS[1] job hash, KEYS[2] waiting jobs of its kind, KEYS[3] times of hints, KEYS[4] events,
-- KEYS[5] jobs that use its model, KEYS[6] mark of a deleted model, KEYS[7] ids of all jobs,
-- KEYS[8] idempotency key of the request that makes it, or a name of no consequence where it has none
-- ARGV[1] job id, ARGV[2] place in the line, ARGV[3] milliseconds until the workers are told again,
-- ARGV[4] event data, ARGV[5] seconds for which the idempotency key holds, 0 for none, ARGV[6...] field, value
-- Returns 1; 0 where the id is taken; -1 where the model has been deleted.
if redis.call('EXISTS', KEYS[1]) == 1 then
  return 0
end
if redis.call('EXISTS', KEYS[6]) == 1 then
  return -1
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', KEYS[1], unpack(ARGV, 6))
redis.call('ZADD', KEYS[2], ARGV[2], ARGV[1])
redis.call('ZADD', KEYS[3], now + ARGV[3], ARGV[1])
redis.call('SADD', KEYS[5], ARGV[1])
redis.call('ZADD', KEYS[7], 0, ARGV[1])
if ARGV[5] ~= '0' then
  redis.call('HSET', KEYS[8], 'job', ARGV[1])
  redis.call('EXPIRE', KEYS[8], ARGV[5])
end
redis.call('XADD', KEYS[4], '*', 'type', 'job.queued', 'data', ARGV[4])
return 1
