-- Apply a row of the table of transitions (service/contract/states.py) to a job: its next state and its effects.
-- uses: outbox quota usage
-- `keys`: those of transition.lua that the row's effects need; `args` and `fields`: as in transition.lua
local function apply(move, keys, args, fields, now)
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
    local used, lapses = {}, redis.call('ZSCORE', keys.leases, args.id)
    if lapses then
      used.attempts = 1
      -- A worker whose lease has expired is assumed to have used its device until it last renewed it.
      used.device_ms = end_attempt(keys.job, args.only_lapsed and lapses - args.lease_ms or now)
      local entry = cjson.decode(entry_data)
      entry.device_ms = used.device_ms
      entry_data = cjson.encode(entry)
    end
    if effects.record then
      used.output_ms, used.output_bytes = args.output_ms, args.stored_bytes
    end
    if effects.finish then
      used[move.to] = 1
    end
    use(args.usage.names, args.usage.about, used, now)
    local warning = {at = args.now, expires_unix = math.floor(now / 1000) + args.retention_seconds}
    warn_of_budget(args.usage.names, keys.tenant, args.limits, args.tenant, args.webhooks, warning, now)
  end
  if effects.leave then
    redis.call('ZREM', keys.queue, args.id)
    redis.call('ZREM', keys.wakeups, args.id)
    redis.call('ZREM', keys.leases, args.id)
    redis.call('SREM', keys.running, args.id)
    redis.call('DEL', keys.preview)
  end
  if effects.lease then
    redis.call('SADD', keys.running, args.id)
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
    notify(args.webhooks, keys.job, {id = args.id, tenant = args.tenant, event = event, at = args.now}, now)
  end
  if effects.finish then
    for _, users in ipairs(keys.model_users) do
      redis.call('SREM', users, args.id)
    end
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
end

