-- Mark that a job's data is removed, before it is; from then on nobody is sent there.
-- KEYS[1] job hash
-- ARGV fields that name data
-- Returns 1; 0 where the job has not ended; -1 for no such job.
local finished = redis.call('HGET', KEYS[1], 'finished_at')
if not finished then
  return redis.call('EXISTS', KEYS[1]) - 1
end
redis.call('HSET', KEYS[1], 'data_removed', 1)
redis.call('HDEL', KEYS[1], unpack(ARGV))
return 1
