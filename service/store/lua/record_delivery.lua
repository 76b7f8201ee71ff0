-- Record a delivery attempt, and update the delivery, its receiver and its endpoint.
-- uses: outbox
-- keys: due
-- args: `names` of keys; `now`; `delivery` with `id`, `job`, `tenant`, `receiver`, `endpoint`, `url`; `entry` for the log;
-- `outcome`: delivered, retry, failed or stopped; `retry_ms` until the next attempt; `back_off_ms`: the receiver's back-off
-- by number of consecutive failures; `retry_after_ms` that it requested
-- Returns 1, or 0 if the delivery no longer exists or was over already.
local names, now, delivery, outcome = args.names, args.now, args.delivery, args.outcome
delivery.host = host_of(delivery.url)
local key, receiver = names.delivery .. delivery.id, names.receiver .. delivery.receiver
local MAX_LOGGED = 100

if outcome == 'delivered' then
  redis.call('DEL', receiver)
elseif outcome ~= 'stopped' then
  local blocked_until = tonumber(redis.call('HGET', receiver, 'blocked_until') or 0)
  -- Concurrent failures count once.
  local failures = redis.call('HINCRBY', receiver, 'failures', blocked_until > now and 0 or 1)
  local alone = math.max(args.back_off_ms[math.min(failures, #args.back_off_ms)], args.retry_after_ms)
  redis.call('HSET', receiver, 'blocked_until', math.max(blocked_until, now + alone))
  redis.call('PEXPIRE', receiver, 2 * 86400000)
elseif delivery.endpoint ~= '' then
  local endpoints = names.endpoints .. delivery.tenant
  local stored = redis.call('HGET', endpoints, delivery.endpoint)
  if stored then
    local endpoint = cjson.decode(stored)
    endpoint.enabled = false
    redis.call('HSET', endpoints, delivery.endpoint, cjson.encode(endpoint))
  end
end

local status = redis.call('HGET', key, 'status')
if status then
  local made = redis.call('HINCRBY', key, 'made', 1)
  redis.call('HSET', key, 'attempt:' .. made, args.entry)
  redis.call('HDEL', key, 'attempt:' .. made - MAX_LOGGED)
end
if status ~= 'pending' then
  schedule(names, delivery.receiver, now, delivery.tenant, delivery.host)
  return 0
end
if outcome == 'retry' then
  redis.call('HINCRBY', key, 'tries', 1)
  redis.call('ZREM', names.sending .. delivery.receiver, delivery.id)
  redis.call('ZADD', names.pending .. delivery.receiver, now + args.retry_ms, delivery.id)
  schedule(names, delivery.receiver, now, delivery.tenant, delivery.host)
else
  redis.call('HSET', key, 'status', outcome)
  leave(names, delivery, now)
end
return 1
