-- How things stand before waiting jobs of a tenant, all of one kind, or before one that would be the tenant's next.
-- uses: clock
-- keys: queue tenants workers leases kind_times workload_times...
-- args: `tenant`, `kind`, `ids` of the jobs; `place` in the queue that one which does not wait would get, the first if none;
-- prefixes of `queues`, of `tenants`, of job hashes (`jobs`)
-- Returns workers; how many of them run a job of the kind, an estimate where hundreds run; milliseconds of any job of the
-- kind; then for each job how many are taken before it, and its milliseconds a step and beside the steps.
local MOST_TENANTS, MOST_LEASES = 200, 100
local function weight(tenant)
  return tonumber(redis.call('HGET', args.tenants .. tenant, 'weight') or 1)
end
local others = {}
for _, tenant in ipairs(redis.call('ZRANGE', keys.tenants, 0, MOST_TENANTS - 1)) do
  if tenant ~= args.tenant then
    table.insert(others, {weight = weight(tenant), waiting = redis.call('ZCARD', args.queues .. tenant)})
  end
end
local own = weight(args.tenant)
local function ahead_of(id)
  local before = redis.call('ZRANK', keys.queue, id)
    or (args.place and redis.call('ZCOUNT', keys.queue, '-inf', '(' .. args.place) or 0)
  local ahead = before
  -- While the tenant has its turns, each other has as many as its weight gives it, or its queue holds.
  for _, other in ipairs(others) do
    ahead = ahead + math.min(math.floor((before + 1) * other.weight / own), other.waiting)
  end
  return ahead
end
local workers = redis.call('ZCOUNT', keys.workers, now_ms(), '+inf')
local function busy()
  local held = redis.call('ZRANGE', keys.leases, 0, -1)
  local looked_at, count = math.min(#held, MOST_LEASES), 0
  for number = 1, looked_at do
    -- Evenly spread, since how soon a lease lapses depends on the kind of its job.
    local id = held[math.ceil((number - 0.5) * #held / looked_at)]
    if redis.call('HGET', args.jobs .. id, 'kind') == args.kind then count = count + 1 end
  end
  return math.min(workers, math.floor(count * #held / math.max(looked_at, 1) + 0.5))
end
local outlook = {workers, busy(), redis.call('HGET', keys.kind_times, 'whole')}
for index, id in ipairs(args.ids) do
  local step, beside = unpack(redis.call('HMGET', keys.workload_times[index], 'step', 'beside'))
  table.insert(outlook, {ahead_of(id), step, beside})
end
return outlook
