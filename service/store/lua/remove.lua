-- Mark a job's data as being removed, before it is, so that nobody is referred to it. Its input is kept while other jobs
-- that reuse it exist.
-- keys: job result owner
-- `result` is the job's key if its output is not indexed; `owner` contains the job whose input it reuses, if any.
-- args: job `id`; `fields` that refer to data; prefix of the `holders` of an input
-- Returns false if the job has not ended; otherwise the job whose input may be deleted, or empty.
local finished = redis.call('HGET', keys.job, 'finished_at')
if not finished and redis.call('EXISTS', keys.job) == 1 then
  return false
end
if finished then
  redis.call('HSET', keys.job, 'removal_begun', 1)
  redis.call('HDEL', keys.job, unpack(args.fields))
  if keys.result ~= keys.job and redis.call('GET', keys.result) == args.id then
    redis.call('DEL', keys.result)
  end
end
local owner = redis.call('GET', keys.owner) or args.id
redis.call('SREM', args.holders .. owner, args.id)
return redis.call('EXISTS', args.holders .. owner) == 0 and owner or ''
