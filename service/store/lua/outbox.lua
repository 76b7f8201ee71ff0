-- Functions of the outbox.
-- `names` of keys: `tenants` by when each has something due, before a tenant `hosts`: its receivers' hosts likewise, before
-- tenant and host `receivers`: by when each may be tried next; so nobody's receivers stand before another's. `due`: receivers
-- as an earlier version has them, which `claim_deliveries` takes over; and before a receiver: `pending`: its deliveries by
-- when each is due, `sending`: those on their way by when that is given up, `receiver`: how it has failed; `queue`
-- before job and receiver: the deliveries of one to the other that are not over, of which the first may be sent;
-- `delivery` before an id; `of_job`, `of_tenant` before those: ids; `endpoints` before a tenant: JSON by id.
-- A receiver is a tenant's URL without its query. Times are in milliseconds.
local AT_ONCE = 4
-- The end of a job that makes a video, as clients of OpenAI's dialect know it.
local OF_VIDEOS = {
  ['job.succeeded'] = 'video.completed',
  ['job.failed'] = 'video.failed',
  ['job.canceled'] = 'video.failed',
  ['job.expired'] = 'video.failed',
}

-- The host of a URL, whatever its port.
local function host_of(url)
  local authority = string.lower(string.match(url, '^%a+://([^/?#]*)') or '')
  return string.match(authority, '^%[.*%]') or string.match(authority, '^([^:]*)')
end

-- Keep a set by the least score of another one, as `member`; without it where that is empty.
local function rise(set, member, below)
  local first = redis.call('ZRANGE', below, 0, 0, 'WITHSCORES')
  if first[1] then
    redis.call('ZADD', set, first[2], member)
  else
    redis.call('ZREM', set, member)
  end
end

-- Have a receiver tried as soon as it may be: when its first delivery is due, it is not backing off, and not too many
-- are on their way to it; one that failed is tried by one at a time.
local function schedule(names, receiver, now, tenant, host)
  local hosts, receivers = names.hosts .. tenant, names.receivers .. tenant .. ':' .. host
  local function told()
    rise(hosts, host, receivers)
    rise(names.tenants, tenant, hosts)
  end
  local first = redis.call('ZRANGE', names.pending .. receiver, 0, 0, 'WITHSCORES')
  if not first[1] then
    redis.call('ZREM', receivers, receiver)
    told()
    return
  end
  local blocked_until = redis.call('HGET', names.receiver .. receiver, 'blocked_until')
  local at = math.max(now, first[2], blocked_until or 0)
  local sending = names.sending .. receiver
  redis.call('ZREMRANGEBYSCORE', sending, '-inf', now)
  if redis.call('ZCARD', sending) >= (blocked_until and 1 or AT_ONCE) then
    at = math.max(at, redis.call('ZRANGE', sending, 0, 0, 'WITHSCORES')[2])
  end
  redis.call('ZADD', receivers, at, receiver)
  told()
end

-- Have a delivery sent once those of the same job to the same receiver that stand before it are over.
local function join(names, delivery, now)
  local queue = names.queue .. delivery.job .. ':' .. delivery.receiver
  if redis.call('RPUSH', queue, delivery.id) == 1 then
    redis.call('ZADD', names.pending .. delivery.receiver, now, delivery.id)
    schedule(names, delivery.receiver, now, delivery.tenant, delivery.host)
  end
  local left = redis.call('PTTL', names.delivery .. delivery.id)
  if left > 0 then
    redis.call('PEXPIRE', queue, left)
  end
end

-- A delivery is over: the next of its job to the same receiver has its turn.
local function leave(names, delivery, now)
  local queue = names.queue .. delivery.job .. ':' .. delivery.receiver
  redis.call('ZREM', names.pending .. delivery.receiver, delivery.id)
  redis.call('ZREM', names.sending .. delivery.receiver, delivery.id)
  redis.call('LREM', queue, 0, delivery.id)
  local following = redis.call('LINDEX', queue, 0)
  if following then
    redis.call('ZADD', names.pending .. delivery.receiver, now, following)
  end
  schedule(names, delivery.receiver, now, delivery.tenant, delivery.host)
end

-- Write a delivery, unless the same was written before: a job that runs a second time is not told of again.
local function write(names, about, event, url, endpoint, now)
  local id = 'msg_' .. redis.sha1hex(about.id .. ' ' .. event .. ' ' .. url)
  local key, of_tenant = names.delivery .. id, names.of_tenant .. about.tenant
  if redis.call('EXISTS', key) == 1 then
    return
  end
  local receiver = redis.sha1hex(about.tenant .. ' ' .. string.match(url, '^[^?#]*'))
  redis.call('HSET', key, 'id', id, 'job', about.id, 'tenant', about.tenant, 'type', event, 'url', url,
    'endpoint', endpoint, 'receiver', receiver, 'created_at', about.at, 'attempt', about.attempt,
    'status', 'pending', 'tries', 0, 'made', 0)
  local place = redis.call('RPUSH', names.of_job .. about.id, id)
  -- Those whose job's record was dropped go as new ones come.
  for _, old in ipairs(redis.call('ZRANGE', of_tenant, 0, 1)) do
    if redis.call('EXISTS', names.delivery .. old) == 0 then
      redis.call('ZREM', of_tenant, old)
    end
  end
  -- Two of one job in the same millisecond stay in their order.
  redis.call('ZADD', of_tenant, now + place / 1000, id)
  join(names, {id = id, job = about.id, receiver = receiver, tenant = about.tenant, host = host_of(url)}, now)
end

local function wants(events, event)
  for _, each in ipairs(events) do
    if each == event then
      return true
    end
  end
  return false
end

-- Write a delivery to every receiver that is to hear of a job's new state: the tenant's endpoints and the job's own.
-- `about`: `id` of the job, `tenant`, `event`, and `at`, the time as it is written.
local function tell(names, job, about, now)
  local options, attempt, kind = unpack(redis.call('HMGET', job, 'options', 'attempt', 'kind'))
  local events = {about.event, kind ~= 'train' and OF_VIDEOS[about.event] or nil}
  options = cjson.decode(options or '{}')
  about.attempt = attempt
  local endpoints = redis.call('HVALS', names.endpoints .. about.tenant)
  table.sort(endpoints)
  local receivers = {}
  for _, each in ipairs(endpoints) do
    local endpoint = cjson.decode(each)
    if endpoint.enabled then
      table.insert(receivers, endpoint)
    end
  end
  if type(options.webhook_url) == 'string' then
    table.insert(receivers, {id = '', url = options.webhook_url, events = options.webhook_events})
  end
  for _, event in ipairs(events) do
    for _, receiver in ipairs(receivers) do
      if wants(receiver.events, event) then
        write(names, about, event, receiver.url, receiver.id, now)
      end
    end
  end
end

-- Keep a job's deliveries as long as its record, and the tenant's index of them as long as the last of those.
local function expire(names, job, tenant, unix)
  local of_job = names.of_job .. job
  for _, id in ipairs(redis.call('LRANGE', of_job, 0, -1)) do
    local receiver = redis.call('HGET', names.delivery .. id, 'receiver')
    redis.call('EXPIREAT', names.delivery .. id, unix)
    if receiver then
      redis.call('EXPIREAT', names.queue .. job .. ':' .. receiver, unix)
    end
  end
  redis.call('EXPIREAT', of_job, unix)
  redis.call('EXPIREAT', names.of_tenant .. tenant, unix)
end

