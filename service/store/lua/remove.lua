-- Mark that a job's data is being removed, before it is; from then on nobody is sent there. Its input stays for as long as
-- jobs that were run again of it have it, too.
-- keys: job result owner
-- `result` is the job's key again where its data is no result; `owner` tells whose input the job has, where not its own.
-- args: job `id`, `fields` that name data, prefix of the `holders` of an input
-- Returns nothing where the job has not ended; else the job whose input may go, empty where none may.
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
