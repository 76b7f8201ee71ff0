-- Facts for estimating when queued jobs of a tenant and kind start, or a job that would be the tenant's next.
-- `names` of keys, prefixes of a kind: `queues`, each in turn a prefix of a tenant, `tenants`, `workers`, `times`; the key
-- `leases`; prefixes of a tenant: its `limits`; of an id: `jobs`. `ids` of the jobs, and the keys of the average durations of
-- each (`workloads`); `place` that a job which is not queued would get, by default the first.
-- Returns the number of workers; how many of them a job of the kind occupies, estimated from a sample if hundreds run;
-- mean milliseconds for which jobs of the kind occupy one; then for each job how many run before it, and its milliseconds
-- per step and outside the steps.
local function estimate(names, now, kind, tenant, ids, workloads, place)
  local MAX_TENANTS, MAX_LEASES = 200, 100
  local queues = names.queues .. kind .. ':'
  local function weight(of)
    return tonumber(redis.call('HGET', names.limits .. of, 'weight') or 1)
  end
  local others = {}
  for _, each in ipairs(redis.call('ZRANGE', names.tenants .. kind, 0, MAX_TENANTS - 1)) do
    if each ~= tenant then
      table.insert(others, {weight = weight(each), waiting = redis.call('ZCARD', queues .. each)})
    end
  end
  local own = weight(tenant)
  local function ahead_of(id)
    local before = redis.call('ZRANK', queues .. tenant, id)
      or (place and redis.call('ZCOUNT', queues .. tenant, '-inf', '(' .. place) or 0)
    local ahead = before
    -- Meanwhile, each other tenant runs as many as its weight allows, or as it has queued.
    for _, other in ipairs(others) do
      ahead = ahead + math.min(math.floor((before + 1) * other.weight / own), other.waiting)
    end
    return ahead
  end
  local workers = redis.call('ZCOUNT', names.workers .. kind, now, '+inf')
  local function busy()
    local held = redis.call('ZRANGE', names.leases, 0, -1)
    local looked_at, count = math.min(#held, MAX_LEASES), 0
    for number = 1, looked_at do
      -- Sampled evenly, since leases are ordered by expiry, which depends on the kind.
      local id = held[math.ceil((number - 0.5) * #held / looked_at)]
      local of, left = unpack(redis.call('HMGET', names.jobs .. id, 'kind', 'left_ms'))
      -- One that has left its device finishes beside the next.
      if of == kind and not left then count = count + 1 end
    end
    return math.min(workers, math.floor(count * #held / math.max(looked_at, 1) + 0.5))
  end
  local facts = {workers, busy(), redis.call('HGET', names.times .. kind, 'occupied')}
  for index, id in ipairs(ids) do
    local step, beside = unpack(redis.call('HMGET', workloads[index], 'step', 'beside'))
    table.insert(facts, {ahead_of(id), step, beside})
  end
  return facts
end

