-- Write a new job and put it at the end of the line.
-- KEYS[1] job hash, KEYS[2] sorted set of waiting jobs
-- ARGV[1] job id, ARGV[2] place in the line, ARGV[3] unix second at which the record is dropped, ARGV[4...] field, value
-- Returns 1, or 0 where the id is taken.
if redis.call('EXISTS', KEYS[1]) == 1 then
  return 0
end
redis.call('HSET', KEYS[1], unpack(ARGV, 4))
redis.call('EXPIREAT', KEYS[1], ARGV[3])
redis.call('ZADD', KEYS[2], ARGV[2], ARGV[1])
return 1
