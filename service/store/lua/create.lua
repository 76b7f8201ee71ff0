-- Write a new job and put it at the end of its tenant's queue; what was stored for it is no longer to be removed.
-- uses: clock quota admission audit
-- keys: job queue wakeups events model_users deleted_model index tenants virtual_time tenant idempotency deadlines removals kept audit counters
-- `idempotency` is a name of no consequence where the request that makes the job has no key.
-- args: `id`, `tenant`, `member`, `<tenant>:<job>`; `place` in the queue, `wakeup_ms` until the workers are told again,
-- `idempotency_seconds` for which the idempotency key holds, 0 for none; `fingerprint` of the request; `afresh` where the
-- key's earlier job is no matter; `cancel_after_ms`, 0 for no deadline; `limits` of what is kept for a tenant,
-- `record_bytes`; where it has an earlier job's input: key of that job's hash (`earlier`), its id (`earlier_id`), whose
-- input it is (`owner`), prefixes `holders` of inputs and `owners`: whose input a job has
-- `policy`: what the operator's policy decided, as in audit.lua, if there is a policy
-- fields: the job's
-- Returns nothing, also where the id is taken; `key` where the idempotency key has made another job meanwhile, as a request may
-- do that was sent again while this one was slow, or is another request's; or why it may not be made, as admission.lua tells.
if redis.call('EXISTS', keys.job) == 1 then
  return ''
end
if args.idempotency_seconds > 0 and not args.afresh then
  local fingerprint, made = unpack(redis.call('HMGET', keys.idempotency, 'fingerprint', 'job'))
  if made or (fingerprint and fingerprint ~= args.fingerprint) then
    return 'key'
  end
end
local refusal = refused(keys, args, {records = 1, record_bytes = args.record_bytes})
if refusal then
  return refusal
end
keep(keys.kept, 'records/' .. args.id, args.record_bytes)
if args.owner then
  redis.call('SADD', args.holders .. args.owner, args.id, args.earlier_id)
  redis.call('SET', args.owners .. args.id, args.owner)
end
local now = now_ms()
redis.call('HSET', keys.job, unpack(fields))
if args.cancel_after_ms > 0 then
  redis.call('HSET', keys.job, 'deadline_ms', now + args.cancel_after_ms)
  redis.call('ZADD', keys.deadlines, now + args.cancel_after_ms, args.id)
end
redis.call('ZADD', keys.queue, args.place, args.id)
redis.call('ZADD', keys.wakeups, now + args.wakeup_ms, args.id)
redis.call('SADD', keys.model_users, args.id)
redis.call('ZADD', keys.index, 0, args.id)
redis.call('ZREM', keys.removals, args.member)
-- A tenant that comes back has no claim on the time that it did not use.
local start = tonumber(redis.call('GET', keys.virtual_time) or 0)
if tonumber(redis.call('ZSCORE', keys.tenants, args.tenant) or -1) < start then
  redis.call('ZADD', keys.tenants, start, args.tenant)
end
if args.idempotency_seconds > 0 then
  -- The claim may have run out meanwhile, and its fingerprint with it.
  redis.call('HSET', keys.idempotency, 'fingerprint', args.fingerprint, 'job', args.id)
  redis.call('EXPIRE', keys.idempotency, args.idempotency_seconds)
end
redis.call('XADD', keys.events, '*', 'type', 'job.queued', 'data', '{}')
if args.policy then
  record_decision(keys.audit, keys.events, keys.counters, args.policy, now)
end
return ''
