-- How things stand before waiting jobs of a tenant, all of one kind, or before one that would be the tenant's next.
-- KEYS[1] the tenant's line, KEYS[2] tenants with a line, KEYS[3] workers by when they count as gone, KEYS[4] leases,
-- KEYS[5] mean times of the kind, KEYS[6] and on of each job's workload
-- ARGV[1] tenant, ARGV[2] prefix of lines, ARGV[3] prefix of tenants, ARGV[4] kind, ARGV[5] prefix of job hashes,
-- ARGV[6] and on ids of the jobs
-- Returns workers; how many of them run a job of the kind, an estimate where hundreds run; milliseconds of any job of the
-- kind; then for each job how many are taken before it, and its milliseconds a step and beside the steps.
local MOST_TENANTS, MOST_LEASES = 200, 100
local function weight(tenant)
  return tonumber(redis.call('HGET', ARGV[3] .. tenant, 'weight') or 1)
end
local others = {}
for _, tenant in ipairs(redis.call('ZRANGE', KEYS[2], 0, MOST_TENANTS - 1)) do
  if tenant ~= ARGV[1] then
    table.insert(others, {weight = weight(tenant), waiting = redis.call('ZCARD', ARGV[2] .. tenant)})
  end
end
local own = weight(ARGV[1])
local function ahead_of(id)
  local before = redis.call('ZRANK', KEYS[1], id) or 0
  local ahead = before
  -- While the tenant has its turns, each other has as many as its weight gives it, or its line holds.
  for _, other in ipairs(others) do
    ahead = ahead + math.min(math.floor((before + 1) * other.weight / own), other.waiting)
  end
  return ahead
end
local time = redis.call('TIME')
local workers = redis.call('ZCOUNT', KEYS[3], time[1] * 1000 + math.floor(time[2] / 1000), '+inf')
local function busy()
  local held = redis.call('ZRANGE', KEYS[4], 0, -1)
  local looked_at, count = math.min(#held, MOST_LEASES), 0
  for number = 1, looked_at do
    -- Evenly spread, since how soon a lease lapses depends on the kind of its job.
    local id = held[math.ceil((number - 0.5) * #held / looked_at)]
    if redis.call('HGET', ARGV[5] .. id, 'kind') == ARGV[4] then count = count + 1 end
  end
  return math.min(workers, math.floor(count * #held / math.max(looked_at, 1) + 0.5))
end
local outlook = {workers, busy(), redis.call('HGET', KEYS[5], 'whole')}
for index = 6, #ARGV do
  local step, beside = unpack(redis.call('HMGET', KEYS[index], 'step', 'beside'))
  table.insert(outlook, {ahead_of(ARGV[index]), step, beside})
end
return outlook
