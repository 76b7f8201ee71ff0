-- Index a job's output by the digest of its inputs, so that equal jobs reuse it while it exists.
-- keys: job result
-- args: `id`, `digest`, `seconds` until the output is deleted
local digest, removed = unpack(redis.call('HMGET', keys.job, 'digest', 'removal_begun'))
if digest == args.digest and not removed then
  redis.call('SET', keys.result, args.id, 'EX', args.seconds)
end
