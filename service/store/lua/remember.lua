-- Have a job's output found by what it is the result of, for as long as the output stands.
-- keys: job result
-- args: `id`, `digest`, `seconds` until the output goes
local digest, removed = unpack(redis.call('HMGET', keys.job, 'digest', 'removal_begun'))
if digest == args.digest and not removed then
  redis.call('SET', keys.result, args.id, 'EX', args.seconds)
end
