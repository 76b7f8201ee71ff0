-- Begin an attempt at the next job: the first in the queue of the tenant with the smallest share of the workers so far,
-- relative to its weight (start-time fair queueing).
-- uses: clock effects
-- keys: tenants virtual_time leases wakeups call
-- `call` contains the job that this call has dequeued, in case it is repeated because its response was lost.
-- args: prefixes of `queues`, of the sets of `running` jobs, of `tenants`, of job hashes (`jobs`), of `events` and of
-- `previews`; `moves`, `lease_ms`, `now`, `entry_data` and `webhooks` as in transition.lua
-- fields: what to write into the record
-- Returns the job's id, with a leading `!` if its deadline has passed and it must be expired instead; empty if there is
-- none.
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
      -- If the caller fails to expire it, the reaper does; nobody gets it again meanwhile.
      redis.call('ZREM', queue, id)
      return '!' .. id
    end
    -- A tenant at its limit gathers no credit while others run; virtual time, at which new tenants start, never goes
    -- backwards.
    local behind = tonumber(redis.call('GET', keys.virtual_time) or 0)
    local start = math.max(tonumber(redis.call('ZSCORE', keys.tenants, tenant)), behind)
    redis.call('SET', keys.virtual_time, start)
    redis.call('ZADD', keys.tenants, start + 1 / (weight or 1), tenant)
    redis.call('SET', keys.call, id, 'PX', args.lease_ms)
    redis.call('HINCRBY', job, 'attempt', 1)
    redis.call('HSETNX', job, 'started_at', args.now)
    redis.call('HSET', job, 'taken_ms', now)
    redis.call('HDEL', job, 'left_ms')
    local job_keys = {
      job = job, queue = queue, running = running, wakeups = keys.wakeups, leases = keys.leases, events = args.events .. id,
      preview = args.previews .. id,
    }
    args.id, args.tenant = id, tenant
    apply(args.moves.queued, job_keys, args, fields, now)
    return id
  end
end
return ''
