-- Have a job's output found by what it is the result of, for as long as the output stands.
-- KEYS[1] job hash, KEYS[2] the result's index
-- ARGV[1] job id, ARGV[2] digest, ARGV[3] seconds until the output goes
local digest, removed = unpack(redis.call('HMGET', KEYS[1], 'digest', 'removal_begun'))
if digest == ARGV[2] and not removed then
  redis.call('SET', KEYS[2], ARGV[1], 'EX', ARGV[3])
end
