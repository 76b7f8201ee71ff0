-- Read a job, with its position in its tenant's queue.
-- uses: place
-- keys: job
-- args: `id`, prefix of all `queues`
-- Returns the hash as fields and values, empty if there is no such job, and the position: 1 is next, 0 is not queued.
local status, kind, tenant = unpack(redis.call('HMGET', keys.job, 'status', 'kind', 'tenant'))
return {redis.call('HGETALL', keys.job), place_of(args.id, status, kind, tenant, args.queues)}
