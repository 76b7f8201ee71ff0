-- Request the removal of a job's data once the job has ended.
-- keys: job removals
-- args: `member`, `<tenant>:<job>`
local finished, removed = unpack(redis.call('HMGET', keys.job, 'finished_at', 'data_removed'))
if removed or redis.call('EXISTS', keys.job) == 0 then
  return
end
redis.call('HSET', keys.job, 'removal_asked', 1)
if finished then
  redis.call('ZADD', keys.removals, 0, args.member)
end
