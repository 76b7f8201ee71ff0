-- Create a job at the end of its tenant's queue, and cancel the removal of its stored input.
-- uses: clock estimate quota admission audit
-- keys: job queue wakeups events index tenants virtual_time tenant idempotency deadlines removals kept audit counters model_marks...
-- `model_marks` are two keys for each model that the job uses: the set of its users, and the mark that it has been deleted.
-- `idempotency` is unused if the request has no idempotency key.
-- args: `id`; `kind`; `tenant`; `workload` and `names` as in estimate.lua; `member`, `<tenant>:<job>`; `place` in the
-- queue; `wakeup_ms` until workers are notified again; `idempotency_seconds`: lifetime of the idempotency key, 0 for none;
-- `fingerprint` of the request; `afresh`: ignore the key's earlier job; `cancel_after_ms`, 0 for no deadline; the tenant's
-- `limits`; prefix of the `months` of usage; `record_bytes`; if it reuses an earlier job's input: key of that job's hash
-- (`earlier`), its id (`earlier_id`), the job that the input was stored for (`owner`), and the prefixes `holders` (jobs
-- that use an input) and `owners` (the owner of a job's input); the operator's `policy` decision as in audit.lua, if there
-- is a policy; the job's hash as a list of fields and values (`record`); `wake_up`: a message for the workers and the list
-- that it goes into, if this Redis is their broker
-- Returns the job's position in the queue, 1 is next, what estimate.lua returns, and its deadline, 0 for none; or an empty
-- text if the id exists; `key` if the idempotency key has another job by now, because the request was
-- repeated while this one was slow, or belongs to a different request; or why the job may not be created, as in
-- admission.lua.
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
redis.call('HSET', keys.job, unpack(args.record))
local deadline = args.cancel_after_ms > 0 and now + args.cancel_after_ms or 0
if deadline > 0 then
  redis.call('HSET', keys.job, 'deadline_ms', deadline)
  redis.call('ZADD', keys.deadlines, deadline, args.id)
end
redis.call('ZADD', keys.queue, args.place, args.id)
redis.call('ZADD', keys.wakeups, now + args.wakeup_ms, args.id)
for at = 1, #keys.model_marks, 2 do
  redis.call('SADD', keys.model_marks[at], args.id)
end
redis.call('ZADD', keys.index, 0, args.id)
redis.call('ZREM', keys.removals, args.member)
-- A tenant that was idle gets no credit for that time.
local start = tonumber(redis.call('GET', keys.virtual_time) or 0)
if tonumber(redis.call('ZSCORE', keys.tenants, args.tenant) or -1) < start then
  redis.call('ZADD', keys.tenants, start, args.tenant)
end
if args.idempotency_seconds > 0 then
  -- The lock may have expired by now, and its fingerprint with it.
  redis.call('HSET', keys.idempotency, 'fingerprint', args.fingerprint, 'job', args.id)
  redis.call('EXPIRE', keys.idempotency, args.idempotency_seconds)
end
redis.call('XADD', keys.events, '*', 'type', 'job.queued', 'data', '{}')
if args.policy then
  record_decision(keys.audit, keys.events, keys.counters, args.policy, now)
end
if args.wake_up then
  redis.call('LPUSH', args.wake_up.queue, args.wake_up.message)
end
local position = redis.call('ZRANK', keys.queue, args.id) + 1
return {position, estimate(args.names, now, args.kind, args.tenant, {args.id}, {args.workload}), deadline}
