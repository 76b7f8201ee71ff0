-- Lock an idempotency key for a request, or learn what became of it. A key whose job's record is gone is nobody's.
-- keys: idempotency
-- args: `fingerprint` of the request, `nonce` of who claims, `in_flight_ms` for which it may be in flight, prefix of job
-- hashes (`jobs`), `afresh` where the request is to make another job whatever became of the key
-- Returns `new` where the claim holds, `other` where another request has the key, `flight` where this one, sent before,
-- is in flight, else the id of the job that came of it.
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
