-- Begin an attempt at the job that is next: of the tenants whose queues are not empty, the one that has had least of the
-- workers for its weight (start-time fair queueing), and of its queue the first.
-- uses: clock outbox
-- keys: tenants virtual_time leases wakeups call
-- `call` tells what this very call has taken, where it is sent again as its answer was lost.
-- args: prefixes of `queues`, of jobs that run (`running`), of `tenants`, of job hashes (`jobs`), of `events`; `lease_ms`,
-- `taken_at`, `worker`, how many `devices` it has, names of `webhooks`
-- Returns the job's id, with a leading `!` where its deadline has passed and it is to be expired instead; empty where
-- none may be taken.
local taken = redis.call('GET', keys.call)
if taken then
  return taken
end
local now = now_ms()
for _, tenant in ipairs(redis.call('ZRANGE', keys.tenants, 0, -1)) do
  local queue, running = args.queues .. tenant, args.running .. tenant
  local id = redis.call('ZRANGE', queue, 0, 0)[1]
  local limit, weight = unpack(redis.call('HMGET', args.tenants .. tenant, 'max_running', 'weight'))
  if not id then
    redis.call('ZREM', keys.tenants, tenant)
  elseif not limit or redis.call('SCARD', running) < tonumber(limit) then
    local job = args.jobs .. id
    local deadline = redis.call('HGET', job, 'deadline_ms')
    if deadline and tonumber(deadline) <= now then
      -- Whoever fails to expire it, and leaves that to the reaper, is not given it again.
      redis.call('ZREM', queue, id)
      return '!' .. id
    end
    -- Not before those who were taken meanwhile: one that runs as many jobs as it may gathers no claim, and time, which
    -- new tenants begin at, goes forward alone.
    local behind = tonumber(redis.call('GET', keys.virtual_time) or 0)
    local start = math.max(tonumber(redis.call('ZSCORE', keys.tenants, tenant)), behind)
    redis.call('SET', keys.virtual_time, start)
    redis.call('ZADD', keys.tenants, start + 1 / (weight or 1), tenant)
    redis.call('ZREM', queue, id)
    redis.call('ZREM', keys.wakeups, id)
    redis.call('SADD', running, id)
    redis.call('ZADD', keys.leases, now + args.lease_ms, id)
    redis.call('SET', keys.call, id, 'PX', args.lease_ms)
    redis.call('HSET', job, 'status', 'running', 'taken_at', args.taken_at, 'worker', args.worker,
      'taken_ms', now, 'devices', args.devices)
    redis.call('HINCRBY', job, 'attempt', 1)
    redis.call('HSETNX', job, 'started_at', args.taken_at)
    redis.call('XADD', args.events .. id, 'MAXLEN', '~', 10000, '*', 'type', 'job.running', 'data', '{}')
    tell(args.webhooks, job, {id = id, tenant = tenant, event = 'job.running', at = args.taken_at}, now)
    return id
  end
end
return ''
