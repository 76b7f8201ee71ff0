-- Confirm that a job's data is deleted, and schedule its removal from the index for when its record expires.
-- uses: clock quota
-- keys: removals unlisted job owner kept
-- `owner` contains the job whose input it reused, if any.
-- args: `member`, `<tenant>:<job>`; job `id`; prefix of the `holders` of an input
if redis.call('HEXISTS', keys.job, 'removal_begun') == 1 then
  redis.call('HSET', keys.job, 'data_removed', 1)
end
redis.call('ZREM', keys.removals, args.member)
redis.call('ZADD', keys.unlisted, now_ms() + math.max(redis.call('PTTL', keys.job), 0), args.member)
local owner = redis.call('GET', keys.owner) or args.id
redis.call('DEL', keys.owner)
if redis.call('EXISTS', args.holders .. owner) == 0 then
  release(keys.kept, 'inputs/' .. owner)
end
release(keys.kept, 'jobs/' .. args.id)
release(keys.kept, 'checkpoints/' .. args.id)
