-- An upload is gone.
-- KEYS[1] uploads by the time at which they expire, KEYS[2] the tenant's usage
-- ARGV[1] key in the storage, ARGV[2] item of the usage
-- Returns 1, or 0 where somebody else has told so before.
release(KEYS[2], ARGV[2])
return redis.call('ZREM', KEYS[1], ARGV[1])
