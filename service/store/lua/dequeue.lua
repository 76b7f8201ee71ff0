-- Begin an attempt at the job that is next: of the tenants whose lines are not empty, the one that has had least of the
-- workers for its weight (start-time fair queueing), and of its line the first.
-- KEYS[1] tenants with a line, by virtual time, KEYS[2] virtual time of the last job taken, KEYS[3] leases, KEYS[4] hints,
-- KEYS[5] what this very call has taken, where it is sent again as its answer was lost
-- ARGV[1] JSON: prefixes of `lines`, of jobs that run (`running`), of `tenants`, of job hashes (`jobs`), of `events`;
-- `lease_ms`, `taken_at`, `worker`, names of `webhooks`
-- Returns the job's id, with a leading `!` where its deadline has passed and it is to be expired instead; empty where
-- none may be taken.
local taken = redis.call('GET', KEYS[5])
if taken then
  return taken
end
local ask = cjson.decode(ARGV[1])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for _, tenant in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  local line, running = ask.lines .. tenant, ask.running .. tenant
  local id = redis.call('ZRANGE', line, 0, 0)[1]
  local limit, weight = unpack(redis.call('HMGET', ask.tenants .. tenant, 'max_running', 'weight'))
  if not id then
    redis.call('ZREM', KEYS[1], tenant)
  elseif not limit or redis.call('SCARD', running) < tonumber(limit) then
    local job = ask.jobs .. id
    local deadline = redis.call('HGET', job, 'deadline_ms')
    if deadline and tonumber(deadline) <= now then
      -- Whoever fails to expire it, and leaves that to the reaper, is not given it again.
      redis.call('ZREM', line, id)
      return '!' .. id
    end
    -- Not before those who were taken meanwhile: one that runs as many jobs as it may gathers no claim, and time, which
    -- new tenants begin at, goes forward alone.
    local start = math.max(tonumber(redis.call('ZSCORE', KEYS[1], tenant)), tonumber(redis.call('GET', KEYS[2]) or 0))
    redis.call('SET', KEYS[2], start)
    redis.call('ZADD', KEYS[1], start + 1 / (weight or 1), tenant)
    redis.call('ZREM', line, id)
    redis.call('ZREM', KEYS[4], id)
    redis.call('SADD', running, id)
    redis.call('ZADD', KEYS[3], now + ask.lease_ms, id)
    redis.call('SET', KEYS[5], id, 'PX', ask.lease_ms)
    redis.call('HSET', job, 'status', 'running', 'taken_at', ask.taken_at, 'worker', ask.worker)
    redis.call('HINCRBY', job, 'attempt', 1)
    redis.call('HSETNX', job, 'started_at', ask.taken_at)
    redis.call('XADD', ask.events .. id, 'MAXLEN', '~', 10000, '*', 'type', 'job.running', 'data', '{}')
    tell(ask.webhooks, job, {id = id, tenant = tenant, event = 'job.running', at = ask.taken_at}, now)
    return id
  end
end
return ''
