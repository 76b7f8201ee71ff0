-- Move a job to its next state, if its state allows it and the attempt that asks still holds it.
-- KEYS[1] job hash, KEYS[2] line, KEYS[3] times of wake-ups, KEYS[4] events, KEYS[5] jobs that use its model,
-- KEYS[6] leases, KEYS[7] the tenant's jobs that run, KEYS[8] tenants with a line, KEYS[9] virtual time,
-- KEYS[10] deadlines, KEYS[11] times at which data goes, KEYS[12] counters, KEYS[13] the tenant's usage
-- ARGV[1] JSON: `id`, `tenant`, `moves` from a state to the next, `attempt` that asks (a string; none where anybody may),
-- `only_lapsed` where the lease must have lapsed, `lease_ms`, `place` in the line, `wakeup_ms` until the workers are told
-- again, `now` as it is written, `expires_at` of the record if the job ends as it is written, `retention_seconds` until
-- then on Redis' own clock, `data_ms` until its data goes then, `entry_type` among the events (none for the next
-- state's), `entry_data`, names of `webhooks`, `counts`: by next state, what is added to which counters; `stored_bytes`, where
-- it leaves some in the storage, of the `stored_item` of the usage;
-- ARGV[2...] field, value
-- Returns the state that the job is in then, with a leading `=` where nothing was changed; empty for no such job.
local ask = cjson.decode(ARGV[1])
local status, attempt = unpack(redis.call('HMGET', KEYS[1], 'status', 'attempt'))
if not status then
  return ''
end
local next_status = ask.moves[status]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local lapses = redis.call('ZSCORE', KEYS[6], ask.id)
local held = ask.only_lapsed and not (lapses and tonumber(lapses) <= now)
if not next_status or held or (ask.attempt and ask.attempt ~= attempt) then
  return '=' .. status
end
redis.call('HSET', KEYS[1], 'status', next_status)
if ARGV[2] and next_status ~= 'canceled' then
  redis.call('HSET', KEYS[1], unpack(ARGV, 2))
end
if next_status == 'running' then
  redis.call('ZADD', KEYS[6], now + ask.lease_ms, ask.id)
elseif next_status ~= 'canceling' then
  redis.call('ZREM', KEYS[2], ask.id)
  redis.call('ZREM', KEYS[3], ask.id)
  redis.call('ZREM', KEYS[6], ask.id)
  redis.call('SREM', KEYS[7], ask.id)
end
if next_status ~= 'running' and next_status ~= 'queued' then
  redis.call('ZREM', KEYS[10], ask.id)
end
if next_status == 'queued' then
  redis.call('ZADD', KEYS[2], ask.place, ask.id)
  redis.call('ZADD', KEYS[3], now + ask.wakeup_ms, ask.id)
  redis.call('ZADD', KEYS[8], 'NX', tonumber(redis.call('GET', KEYS[9]) or 0), ask.tenant)
elseif next_status ~= 'running' and next_status ~= 'canceling' then
  redis.call('SREM', KEYS[5], ask.id)
  redis.call('HSET', KEYS[1], 'finished_at', ask.now, 'expires_at', ask.expires_at)
  local expires_unix = time[1] + ask.retention_seconds
  redis.call('EXPIREAT', KEYS[1], expires_unix)
  redis.call('EXPIREAT', KEYS[4], expires_unix)
  tell(ask.webhooks, KEYS[1], {id = ask.id, tenant = ask.tenant, event = 'job.' .. next_status, at = ask.now}, now)
  expire(ask.webhooks, ask.id, ask.tenant, expires_unix)
  local asked = redis.call('HEXISTS', KEYS[1], 'removal_asked') == 1
  redis.call('ZADD', KEYS[11], asked and 0 or now + ask.data_ms, ask.tenant .. ':' .. ask.id)
end
if ask.stored_bytes and next_status ~= 'canceled' then
  keep(KEYS[13], ask.stored_item, ask.stored_bytes)
end
for field, amount in pairs(ask.counts[next_status]) do
  redis.call('HINCRBYFLOAT', KEYS[12], field, amount)
end
local type = ask.entry_type or ('job.' .. next_status)
redis.call('XADD', KEYS[4], 'MAXLEN', '~', 10000, '*', 'type', type, 'data', ask.entry_data)
return next_status
