-- Carry out an event of the table of transitions (service/contract/states.py), if the job's state allows it and the attempt,
-- if one is given, still holds the job.
-- uses: clock outbox quota usage
-- keys: job queue wakeups events model_users leases running tenants virtual_time deadlines removals counters kept
-- args: `id`, `tenant`, `member`: `<tenant>:<job>`; `moves`: the event's rows by current state, each with the next state
-- (`to`), the set of `effects` and what to add to the counters (`counts`); `attempt`, a string, or none; `only_lapsed`: the
-- lease must have expired; `lease_ms`; `place` in the queue; `now` and `expires_at` of an ended record as they are written;
-- `retention_seconds` of the record and `data_ms` of its data from now on Redis' clock; `entry_type` (the next state's if
-- none) and `entry_data` of the entry in the job's events; names of `webhooks`; `stored_bytes` of `stored_item`, if any;
-- `usage`: names of its keys (`names`), and `about` the job as usage.lua takes it; `output_ms` of a video, if any
-- fields: what to write into the record
-- Returns the job's state, with a leading `=` if nothing changed; empty if there is no such job.
local status, attempt = unpack(redis.call('HMGET', keys.job, 'status', 'attempt'))
if not status then
  return ''
end
local move = args.moves[status]
local now = now_ms()
local lapses = redis.call('ZSCORE', keys.leases, args.id)
local held = args.only_lapsed and not (lapses and tonumber(lapses) <= now)
if not move or held or (args.attempt and args.attempt ~= attempt) then
  return '=' .. status
end
local effects, event = move.effects, 'job.' .. move.to
redis.call('HSET', keys.job, 'status', move.to)
if effects.record and fields[1] then
  redis.call('HSET', keys.job, unpack(fields))
end
if effects.record and args.stored_bytes then
  keep(keys.kept, args.stored_item, args.stored_bytes)
end
local entry_data = args.entry_data
if effects.usage then
  local used = {}
  if lapses then
    used.attempts = 1
    -- As far as is known, a worker that fell silent has used its device until it was last heard of.
    used.device_ms = end_attempt(keys.job, args.only_lapsed and lapses - args.lease_ms or now)
    local told = cjson.decode(entry_data)
    told.device_ms = used.device_ms
    entry_data = cjson.encode(told)
  end
  if effects.record then
    used.output_ms, used.output_bytes = args.output_ms, args.stored_bytes
  end
  if effects.finish then
    used[move.to] = 1
  end
  use(args.usage.names, args.usage.about, used, now)
end
if effects.leave then
  redis.call('ZREM', keys.queue, args.id)
  redis.call('ZREM', keys.wakeups, args.id)
  redis.call('ZREM', keys.leases, args.id)
  redis.call('SREM', keys.running, args.id)
end
if effects.lease then
  redis.call('ZADD', keys.leases, now + args.lease_ms, args.id)
end
if effects.queue then
  redis.call('ZADD', keys.queue, args.place, args.id)
  redis.call('ZADD', keys.wakeups, now, args.id)
  redis.call('ZADD', keys.tenants, 'NX', tonumber(redis.call('GET', keys.virtual_time) or 0), args.tenant)
end
if effects.clear_deadline then
  redis.call('ZREM', keys.deadlines, args.id)
end
if effects.notify then
  tell(args.webhooks, keys.job, {id = args.id, tenant = args.tenant, event = event, at = args.now}, now)
end
if effects.finish then
  redis.call('SREM', keys.model_users, args.id)
  redis.call('HSET', keys.job, 'finished_at', args.now, 'expires_at', args.expires_at)
  local expires_unix = math.floor(now / 1000) + args.retention_seconds
  redis.call('EXPIREAT', keys.job, expires_unix)
  redis.call('EXPIREAT', keys.events, expires_unix)
  expire(args.webhooks, args.id, args.tenant, expires_unix)
  local asked = redis.call('HEXISTS', keys.job, 'removal_asked') == 1
  redis.call('ZADD', keys.removals, asked and 0 or now + args.data_ms, args.member)
end
for field, amount in pairs(move.counts) do
  redis.call('HINCRBYFLOAT', keys.counters, field, amount)
end
redis.call('XADD', keys.events, 'MAXLEN', '~', 10000, '*', 'type', args.entry_type or event, 'data', entry_data)
return move.to
