-- Have a job's data removed as soon as the job has ended.
-- KEYS[1] job hash, KEYS[2] times at which data goes
-- ARGV[1] member, `<tenant>:<job>`
local finished, removed = unpack(redis.call('HMGET', KEYS[1], 'finished_at', 'data_removed'))
if removed or redis.call('EXISTS', KEYS[1]) == 0 then
  return
end
redis.call('HSET', KEYS[1], 'removal_asked', 1)
if finished then
  redis.call('ZADD', KEYS[2], 0, ARGV[1])
end
