-- Forget an idempotency key, unless a job came of its request after all, or somebody else has claimed it meanwhile.
-- keys: idempotency
-- args: `nonce` of who claimed it
-- Returns 1, or 0 where it is kept.
local nonce, job = unpack(redis.call('HMGET', keys.idempotency, 'nonce', 'job'))
if job or nonce ~= args.nonce then
  return 0
end
return redis.call('DEL', keys.idempotency)
