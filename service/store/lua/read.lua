-- Read a job as it stands, with its place in its tenant's queue.
-- uses: place
-- keys: job
-- args: `id`, prefix of all `queues`
-- Returns the hash as fields and values, none where there is no such job; the place, 1 is next, 0 where it does not wait.
local status, kind, tenant = unpack(redis.call('HMGET', keys.job, 'status', 'kind', 'tenant'))
return {redis.call('HGETALL', keys.job), place_of(args.id, status, kind, tenant, args.queues)}
