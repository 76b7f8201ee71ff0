-- Have a job's output found by what it is the result of, for as long as the output stands.
-- keys: job result
-- asks: `id`, `digest`, `seconds` until the output goes
local digest, removed = unpack(redis.call('HMGET', keys.job, 'digest', 'removal_begun'))
if digest == ask.digest and not removed then
  redis.call('SET', keys.result, ask.id, 'EX', ask.seconds)
end
