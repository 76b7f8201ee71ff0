-- Lock an idempotency key for a request, or return the result of an earlier one. A key whose job no longer exists is free.
-- keys: idempotency
-- args: `fingerprint` of the request; `nonce` of the caller; `in_flight_ms`: how long it may be in flight; prefix of job
-- hashes (`jobs`); `afresh`: create another job even if the key has one
-- Returns `new` if the caller now has the lock, `other` if the key belongs to a different request, `flight` if the same
-- request is in flight, otherwise the id of the job that it created.
local fingerprint, nonce, job = unpack(redis.call('HMGET', keys.idempotency, 'fingerprint', 'nonce', 'job'))
if (args.afresh and nonce ~= args.nonce) or (job and redis.call('EXISTS', args.jobs .. job) == 0) then
  redis.call('DEL', keys.idempotency)
  fingerprint = nil
end
if not fingerprint then
  redis.call('HSET', keys.idempotency, 'fingerprint', args.fingerprint, 'nonce', args.nonce)
  redis.call('PEXPIRE', keys.idempotency, args.in_flight_ms)
  return 'new'
end
if fingerprint ~= args.fingerprint then
  return 'other'
end
return job or (nonce == args.nonce and 'new' or 'flight')
