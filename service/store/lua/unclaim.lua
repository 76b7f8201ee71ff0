-- Release the lock on an idempotency key, unless its request has created a job after all, or another caller has locked it.
-- keys: idempotency
-- args: `nonce` of the caller that locked it
-- Returns 1, or 0 if the key is kept.
local nonce, job = unpack(redis.call('HMGET', keys.idempotency, 'nonce', 'job'))
if job or nonce ~= args.nonce then
  return 0
end
return redis.call('DEL', keys.idempotency)
