-- Read a job as it stands, with its place in its tenant's line.
-- KEYS[1] job hash
-- ARGV[1] id, ARGV[2] prefix of all lines
-- Returns the hash as fields and values, none where there is no such job; the place, 1 is next, 0 where it does not wait.
local status, kind, tenant = unpack(redis.call('HMGET', KEYS[1], 'status', 'kind', 'tenant'))
return {redis.call('HGETALL', KEYS[1]), place_of(ARGV[1], status, kind, tenant, ARGV[2])}
