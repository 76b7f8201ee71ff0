-- Write a new job and put it at the end of its tenant's line; what was stored for it is no longer to be removed.
-- KEYS[1] job hash, KEYS[2] line, KEYS[3] times of wake-ups, KEYS[4] events, KEYS[5] jobs that use its model,
-- KEYS[6] mark of a deleted model, KEYS[7] ids of the tenant's jobs, KEYS[8] tenants with a line,
-- KEYS[9] virtual time of the last job taken, KEYS[10] tenant,
-- KEYS[11] idempotency key of the request that makes it, or a name of no consequence where it has none,
-- KEYS[12] deadlines, KEYS[13] times at which data goes, KEYS[14] the tenant's usage
-- ARGV[1] JSON: `id`, `tenant`, `place` in the line, `wakeup_ms` until the workers are told again,
-- `idempotency_seconds` for which the idempotency key holds, 0 for none; `fingerprint` of the request; `afresh` where the key's
-- earlier job is no matter; `cancel_after_ms`, 0 for no deadline;
-- `limits` of what is kept for a tenant, `record_bytes`; where it has an earlier job's input: key of that job's hash (`earlier`),
-- its id (`earlier_id`), whose input it is (`owner`, none where it has its own), prefixes `holders` of inputs and `owners`: whose input a job has;
-- ARGV[2...] field, value
-- Returns 1; 0 where the id is taken; -1 where the model has been deleted; -2 where the line is full; -3 where the key has
-- made another job meanwhile, as a request may do that was sent again while this one was slow, or is another request's; -4 where the earlier job's input has been
-- removed; or the name of the limit that leaves no room for it.
local job = cjson.decode(ARGV[1])
if redis.call('EXISTS', KEYS[1]) == 1 then
  return 0
end
if redis.call('EXISTS', KEYS[6]) == 1 then
  return -1
end
if job.idempotency_seconds > 0 and not job.afresh then
  local fingerprint, made = unpack(redis.call('HMGET', KEYS[11], 'fingerprint', 'job'))
  if made or (fingerprint and fingerprint ~= job.fingerprint) then
    return -3
  end
end
local limit = redis.call('HGET', KEYS[10], 'max_waiting')
if limit and redis.call('ZCARD', KEYS[2]) >= tonumber(limit) then
  return -2
end
if job.owner and not redis.call('HGET', job.earlier, 'input_key') then
  return -4
end
local usage, item = KEYS[14], 'records/' .. job.id
local full = lacks(usage, KEYS[10], job.limits, {records = 1, record_bytes = job.record_bytes})
if full then
  return full
end
keep(usage, item, job.record_bytes)
if job.owner then
  redis.call('SADD', job.holders .. job.owner, job.id, job.earlier_id)
  redis.call('SET', job.owners .. job.id, job.owner)
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', KEYS[1], unpack(ARGV, 2))
if job.cancel_after_ms > 0 then
  redis.call('HSET', KEYS[1], 'deadline_ms', now + job.cancel_after_ms)
  redis.call('ZADD', KEYS[12], now + job.cancel_after_ms, job.id)
end
redis.call('ZADD', KEYS[2], job.place, job.id)
redis.call('ZADD', KEYS[3], now + job.wakeup_ms, job.id)
redis.call('SADD', KEYS[5], job.id)
redis.call('ZADD', KEYS[7], 0, job.id)
redis.call('ZREM', KEYS[13], job.tenant .. ':' .. job.id)
-- A tenant that comes back has no claim on the time that it did not use.
local start = tonumber(redis.call('GET', KEYS[9]) or 0)
if tonumber(redis.call('ZSCORE', KEYS[8], job.tenant) or -1) < start then
  redis.call('ZADD', KEYS[8], start, job.tenant)
end
if job.idempotency_seconds > 0 then
  -- The claim may have run out meanwhile, and its fingerprint with it.
  redis.call('HSET', KEYS[11], 'fingerprint', job.fingerprint, 'job', job.id)
  redis.call('EXPIRE', KEYS[11], job.idempotency_seconds)
end
redis.call('XADD', KEYS[4], '*', 'type', 'job.queued', 'data', '{}')
return 1
