-- Lock an idempotency key for a request, or learn what became of it. A key whose job's record is gone is nobody's.
-- KEYS[1] the key
-- ARGV[1] fingerprint of the request, ARGV[2] nonce of who claims, ARGV[3] milliseconds that it may be in flight,
-- ARGV[4] prefix of job hashes, ARGV[5] 1 where the request is to make another job whatever became of the key, else 0
-- Returns `new` where the claim holds, `other` where another request has the key, `flight` where this one, sent before, is
-- in flight, else the id of the job that came of it.
local fingerprint, nonce, job = unpack(redis.call('HMGET', KEYS[1], 'fingerprint', 'nonce', 'job'))
if (ARGV[5] == '1' and nonce ~= ARGV[2]) or (job and redis.call('EXISTS', ARGV[4] .. job) == 0) then
  redis.call('DEL', KEYS[1])
  fingerprint = nil
end
if not fingerprint then
  redis.call('HSET', KEYS[1], 'fingerprint', ARGV[1], 'nonce', ARGV[2])
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
  return 'new'
end
if fingerprint ~= ARGV[1] then
  return 'other'
end
return job or (nonce == ARGV[2] and 'new' or 'flight')
