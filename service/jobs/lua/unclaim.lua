-- Forget an idempotency key, unless a job came of its request after all.
-- KEYS[1] the key
-- Returns 1, or 0 where it is kept.
if redis.call('HEXISTS', KEYS[1], 'job') == 1 then
  return 0
end
return redis.call('DEL', KEYS[1])
