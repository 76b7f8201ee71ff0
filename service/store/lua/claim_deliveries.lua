-- Claim due deliveries, one per receiver; no other sender gets them until the claim expires. Deliveries whose job or
-- endpoint no longer exists are dropped. Tenants take turns, and none may occupy more slots than it leaves free, so that
-- there is always room for others.
-- uses: outbox
-- keys: due
-- args: `names` of keys; `now`; `lease_ms`; maximum number (`limit`); the sender's `free` slots; its deliveries in progress
-- by tenant (`busy`) and by `<tenant>:<host>` (`busy_hosts`); maximum per host (`of_host`)
-- Returns id and host of each.
local names, now = args.names, args.now
local claimed, taken, spent, looks = {}, {}, {}, 0
local MAX_LOOKS = 1000

local function enabled(tenant, endpoint)
  local stored = endpoint == '' or redis.call('HGET', names.endpoints .. tenant, endpoint)
  return stored == true or (stored and cjson.decode(stored).enabled)
end

local function size(set)
  local count = 0
  for _ in pairs(set) do count = count + 1 end
  return count
end

-- Due members: one more than the number to skip.
local function due(key, passed)
  return redis.call('ZRANGEBYSCORE', key, '-inf', now, 'LIMIT', 0, 1 + passed)
end

-- Take over receivers written by an earlier version, which may still be running.
for _, receiver in ipairs(redis.call('ZRANGEBYSCORE', keys.due, '-inf', now, 'LIMIT', 0, 100)) do
  redis.call('ZREM', keys.due, receiver)
  for _, id in ipairs(redis.call('ZRANGE', names.pending .. receiver, 0, -1)) do
    local tenant, url = unpack(redis.call('HMGET', names.delivery .. id, 'tenant', 'url'))
    if tenant then
      schedule(names, receiver, now, tenant, host_of(url))
      break
    end
  end
end

local function claim_of(receiver, tenant, host)
  local pending, found = names.pending .. receiver, false
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', pending, '-inf', now, 'LIMIT', 0, 100)) do
    looks = looks + 1
    local key = names.delivery .. id
    local job, endpoint = unpack(redis.call('HMGET', key, 'job', 'endpoint'))
    if not job then
      redis.call('ZREM', pending, id)
    elseif not enabled(tenant, endpoint) then
      redis.call('HSET', key, 'status', 'stopped')
      leave(names, {id = id, job = job, receiver = receiver, tenant = tenant, host = host}, now)
    else
      redis.call('ZADD', pending, now + args.lease_ms, id)
      redis.call('ZADD', names.sending .. receiver, now + args.lease_ms, id)
      table.insert(claimed, id)
      table.insert(claimed, host)
      found = true
      break
    end
  end
  schedule(names, receiver, now, tenant, host)
  return found
end

-- Claim one delivery of a tenant; false if none may be sent.
local function claim_one(tenant)
  spent[tenant] = spent[tenant] or {}
  for place, busy in pairs(args.busy_hosts) do
    if busy >= args.of_host and string.sub(place, 1, #tenant + 1) == tenant .. ':' then
      spent[tenant][string.sub(place, #tenant + 2)] = true
    end
  end
  while looks < MAX_LOOKS do
    local host
    for _, each in ipairs(due(names.hosts .. tenant, size(spent[tenant]))) do
      if not spent[tenant][each] then
        host = each
        break
      end
    end
    if not host then
      return false
    end
    local place = tenant .. ':' .. host
    taken[place] = taken[place] or {}
    local receiver
    for _, each in ipairs(due(names.receivers .. place, size(taken[place]))) do
      if not taken[place][each] then
        receiver = each
        break
      end
    end
    looks = looks + 1
    if not receiver then
      spent[tenant][host] = true
    elseif claim_of(receiver, tenant, host) then
      taken[place][receiver] = true
      args.busy_hosts[place] = (args.busy_hosts[place] or 0) + 1
      return true
    end
  end
  return false
end

local over, progress = {}, true
while progress and looks < MAX_LOOKS do
  progress = false
  for _, tenant in ipairs(redis.call('ZRANGEBYSCORE', names.tenants, '-inf', now, 'LIMIT', 0, args.limit + size(args.busy))) do
    local busy, begun = args.busy[tenant] or 0, #claimed / 2
    if begun >= args.limit then
      return claimed
    end
    if not over[tenant] then
      if busy < args.free - begun and claim_one(tenant) then
        args.busy[tenant] = busy + 1
        progress = true
      else
        over[tenant] = true
      end
    end
  end
end
return claimed
