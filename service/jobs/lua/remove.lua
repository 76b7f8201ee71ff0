-- Mark that a job's data is removed, before it is; from then on nobody is sent there.
-- KEYS[1] job hash, KEYS[2] index of the result that the data is, or the hash again where it is none's
-- ARGV[1] job id, ARGV[2...] fields that name data
-- Returns 1; 0 where the job has not ended; -1 for no such job.
local finished = redis.call('HGET', KEYS[1], 'finished_at')
if not finished then
  return redis.call('EXISTS', KEYS[1]) - 1
end
redis.call('HSET', KEYS[1], 'data_removed', 1)
redis.call('HDEL', KEYS[1], unpack(ARGV, 2))
if KEYS[2] ~= KEYS[1] and redis.call('GET', KEYS[2]) == ARGV[1] then
  redis.call('DEL', KEYS[2])
end
return 1
