-- Claim deliveries that are due, one a receiver; nobody else gets them until that is given up. What can no longer be
-- sent is dropped: the job's record is gone, or the endpoint is.
-- ARGV[1] JSON: `names` of keys, `now`, `lease_ms`, how many at most (`limit`)
-- Returns their ids.
local ask = cjson.decode(ARGV[1])
local names, now = ask.names, ask.now
local claimed = {}

local function enabled(tenant, endpoint)
  local stored = endpoint == '' or redis.call('HGET', names.endpoints .. tenant, endpoint)
  return stored == true or (stored and cjson.decode(stored).enabled)
end

for _, receiver in ipairs(redis.call('ZRANGEBYSCORE', names.due, '-inf', now, 'LIMIT', 0, ask.limit)) do
  local pending = names.pending .. receiver
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', pending, '-inf', now, 'LIMIT', 0, 100)) do
    local key = names.delivery .. id
    local job, tenant, endpoint = unpack(redis.call('HMGET', key, 'job', 'tenant', 'endpoint'))
    if not job then
      redis.call('ZREM', pending, id)
    elseif not enabled(tenant, endpoint) then
      redis.call('HSET', key, 'status', 'stopped')
      leave(names, {id = id, job = job, receiver = receiver}, now)
    else
      redis.call('ZADD', pending, now + ask.lease_ms, id)
      redis.call('ZADD', names.sending .. receiver, now + ask.lease_ms, id)
      table.insert(claimed, id)
      break
    end
  end
  schedule(names, receiver, now)
end
return claimed
