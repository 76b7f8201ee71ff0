-- Facts for estimating when queued jobs of a tenant and kind start, or a job that would be the tenant's next.
-- uses: clock
-- keys: queue tenants workers leases kind_times workload_times...
-- args: `tenant`, `kind`, `ids` of the jobs; `place` that a job which is not queued would get, by default the first;
-- prefixes of `queues`, `tenants` and job hashes (`jobs`)
-- Returns the number of workers; how many of them run a job of the kind, estimated from a sample if hundreds run; mean
-- milliseconds of all jobs of the kind; then for each job how many run before it, and its milliseconds per step and beside
-- the steps.
local MAX_TENANTS, MAX_LEASES = 200, 100
local function weight(tenant)
  return tonumber(redis.call('HGET', args.tenants .. tenant, 'weight') or 1)
end
local others = {}
for _, tenant in ipairs(redis.call('ZRANGE', keys.tenants, 0, MAX_TENANTS - 1)) do
  if tenant ~= args.tenant then
    table.insert(others, {weight = weight(tenant), waiting = redis.call('ZCARD', args.queues .. tenant)})
  end
end
local own = weight(args.tenant)
local function ahead_of(id)
  local before = redis.call('ZRANK', keys.queue, id)
    or (args.place and redis.call('ZCOUNT', keys.queue, '-inf', '(' .. args.place) or 0)
  local ahead = before
  -- Meanwhile, each other tenant runs as many as its weight allows, or as it has queued.
  for _, other in ipairs(others) do
    ahead = ahead + math.min(math.floor((before + 1) * other.weight / own), other.waiting)
  end
  return ahead
end
local workers = redis.call('ZCOUNT', keys.workers, now_ms(), '+inf')
local function busy()
  local held = redis.call('ZRANGE', keys.leases, 0, -1)
  local looked_at, count = math.min(#held, MAX_LEASES), 0
  for number = 1, looked_at do
    -- Sampled evenly, since leases are ordered by expiry, which depends on the kind.
    local id = held[math.ceil((number - 0.5) * #held / looked_at)]
    if redis.call('HGET', args.jobs .. id, 'kind') == args.kind then count = count + 1 end
  end
  return math.min(workers, math.floor(count * #held / math.max(looked_at, 1) + 0.5))
end
local estimate = {workers, busy(), redis.call('HGET', keys.kind_times, 'whole')}
for index, id in ipairs(args.ids) do
  local step, beside = unpack(redis.call('HMGET', keys.workload_times[index], 'step', 'beside'))
  table.insert(estimate, {ahead_of(id), step, beside})
end
return estimate
