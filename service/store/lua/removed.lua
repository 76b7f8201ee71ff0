-- Confirm that a job's data is gone, which its record tells from now on; what is left to drop is its place in the index,
-- once that record has expired.
-- uses: clock quota
-- keys: removals unlisted job owner kept
-- `owner` tells whose input the job had, where not its own.
-- args: `member`, `<tenant>:<job>`; job `id`, prefix of the `holders` of an input
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
