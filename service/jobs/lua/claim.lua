-- Claim an idempotency key for a request, or learn what became of it.
-- KEYS[1] the key
-- ARGV[1] fingerprint of the request, ARGV[2] milliseconds that it may be in flight
-- Returns `new` where it is claimed now, `other` where another request has it, `flight` where this one is in flight,
-- else the id of the job that came of it.
local fingerprint, job = unpack(redis.call('HMGET', KEYS[1], 'fingerprint', 'job'))
if not fingerprint then
  redis.call('HSET', KEYS[1], 'fingerprint', ARGV[1])
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  return 'new'
end
if fingerprint ~= ARGV[1] then
  return 'other'
end
return job or 'flight'
