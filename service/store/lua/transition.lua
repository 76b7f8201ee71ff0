-- Move a job to its next state, if its state allows it and the attempt that asks still holds it, with all that comes with
-- it (service/contract/states.py).
-- uses: clock outbox usage
-- keys: job queue wakeups events model_users leases running tenants virtual_time deadlines removals counters usage
-- asks: `id`, `tenant`, `member`, `<tenant>:<job>`; `moves` by the state that the job is in: the next one (`to`), a set of
-- `effects`, and `counts`, what is added to which counters; `attempt` that asks (a string; none where anybody may),
-- `only_lapsed` where the lease must have lapsed, `lease_ms`, `place` in the queue, `now` as it is written, `expires_at` of
-- the record as it is written, `retention_seconds` until then on Redis' own clock, `data_ms` until its data goes then,
-- `entry_type` among the events (none for the next state's), `entry_data`, names of `webhooks`; `stored_bytes`, where it
-- leaves some in the storage, of the `stored_item` of the usage
-- fields: what is written in the record
-- Returns the state that the job is in then, with a leading `=` where nothing was changed; empty for no such job.
local status, attempt = unpack(redis.call('HMGET', keys.job, 'status', 'attempt'))
if not status then
  return ''
end
local move = ask.moves[status]
local now = now_ms()
local lapses = redis.call('ZSCORE', keys.leases, ask.id)
local held = ask.only_lapsed and not (lapses and tonumber(lapses) <= now)
if not move or held or (ask.attempt and ask.attempt ~= attempt) then
  return '=' .. status
end
local effects, event = move.effects, 'job.' .. move.to
redis.call('HSET', keys.job, 'status', move.to)
if effects.record and fields[1] then
  redis.call('HSET', keys.job, unpack(fields))
end
if effects.record and ask.stored_bytes then
  keep(keys.usage, ask.stored_item, ask.stored_bytes)
end
if effects.leave then
  redis.call('ZREM', keys.queue, ask.id)
  redis.call('ZREM', keys.wakeups, ask.id)
  redis.call('ZREM', keys.leases, ask.id)
  redis.call('SREM', keys.running, ask.id)
end
if effects.lease then
  redis.call('ZADD', keys.leases, now + ask.lease_ms, ask.id)
end
if effects.queue then
  redis.call('ZADD', keys.queue, ask.place, ask.id)
  redis.call('ZADD', keys.wakeups, now, ask.id)
  redis.call('ZADD', keys.tenants, 'NX', tonumber(redis.call('GET', keys.virtual_time) or 0), ask.tenant)
end
if effects.disarm then
  redis.call('ZREM', keys.deadlines, ask.id)
end
if effects.notify then
  tell(ask.webhooks, keys.job, {id = ask.id, tenant = ask.tenant, event = event, at = ask.now}, now)
end
if effects.finish then
  redis.call('SREM', keys.model_users, ask.id)
  redis.call('HSET', keys.job, 'finished_at', ask.now, 'expires_at', ask.expires_at)
  local expires_unix = math.floor(now / 1000) + ask.retention_seconds
  redis.call('EXPIREAT', keys.job, expires_unix)
  redis.call('EXPIREAT', keys.events, expires_unix)
  expire(ask.webhooks, ask.id, ask.tenant, expires_unix)
  local asked = redis.call('HEXISTS', keys.job, 'removal_asked') == 1
  redis.call('ZADD', keys.removals, asked and 0 or now + ask.data_ms, ask.member)
end
for field, amount in pairs(move.counts) do
  redis.call('HINCRBYFLOAT', keys.counters, field, amount)
end
redis.call('XADD', keys.events, 'MAXLEN', '~', 10000, '*', 'type', ask.entry_type or event, 'data', ask.entry_data)
return move.to
