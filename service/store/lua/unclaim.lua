-- Forget an idempotency key, unless a job came of its request after all, or somebody else has claimed it meanwhile.
-- KEYS[1] the key
-- ARGV[1] nonce of who claimed it
-- Returns 1, or 0 where it is kept.
local nonce, job = unpack(redis.call('HMGET', KEYS[1], 'nonce', 'job'))
if job or nonce ~= ARGV[1] then
  return 0
end
return redis.call('DEL', KEYS[1])
