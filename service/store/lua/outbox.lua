-- Functions of the webhook outbox.
-- A receiver is a tenant's URL without its query. Times are in milliseconds. `names` maps to keys and key prefixes:
-- - `tenants`: sorted set of tenants, by the time when the next delivery is due
-- - `hosts` .. tenant: sorted set of its receivers' hosts, likewise
-- - `receivers` .. tenant .. ':' .. host: sorted set of receivers, by the time when each may be tried next. With these
--   three levels, no tenant's receivers delay another's.
-- - `pending` .. receiver: sorted set of deliveries, by the time when each is due
-- - `sending` .. receiver: sorted set of deliveries in progress, by the time when the claim expires
-- - `receiver` .. receiver: hash with its failures and back-off
-- - `queue` .. job .. ':' .. receiver: list of unfinished deliveries, of which only the first may be sent
-- - `delivery` .. id: hash of a delivery
-- - `of_job` .. job, `of_tenant` .. tenant: IDs of deliveries
-- - `endpoints` .. tenant: hash of endpoints as JSON, by id
-- - `due`: receivers written by an earlier version, which claim_deliveries.lua takes over
local AT_ONCE = 4
-- Additional events for clients of OpenAI's API when a job that makes a video ends.
local OF_VIDEOS = {
  ['job.succeeded'] = 'video.completed',
  ['job.failed'] = 'video.failed',
  ['job.canceled'] = 'video.failed',
  ['job.expired'] = 'video.failed',
}

-- The host of a URL, without the port.
local function host_of(url)
  local authority = string.lower(string.match(url, '^%a+://([^/?#]*)') or '')
  return string.match(authority, '^%[.*%]') or string.match(authority, '^([^:]*)')
end

-- Set the score of `member` in a set to the lowest score in the set below it; remove it if that is empty.
local function propagate(set, member, below)
  local first = redis.call('ZRANGE', below, 0, 0, 'WITHSCORES')
  if first[1] then
    redis.call('ZADD', set, first[2], member)
  else
    redis.call('ZREM', set, member)
  end
end

-- Schedule a receiver for when its first delivery is due, its back-off is over, and a slot is free; after a failure, it
-- has only one slot.
local function schedule(names, receiver, now, tenant, host)
  local hosts, receivers = names.hosts .. tenant, names.receivers .. tenant .. ':' .. host
  local function update_parents()
    propagate(hosts, host, receivers)
    propagate(names.tenants, tenant, hosts)
  end
  local first = redis.call('ZRANGE', names.pending .. receiver, 0, 0, 'WITHSCORES')
  if not first[1] then
    redis.call('ZREM', receivers, receiver)
    update_parents()
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
  update_parents()
end

-- Add a delivery to the queue of its job and receiver, to be sent when those before it are over.
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

-- Remove a finished delivery from its queue, and make the next one due.
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

-- Create a delivery unless it exists: a job that runs twice notifies once.
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
  if about.data then
    redis.call('HSET', key, 'data', about.data)
  end
  local place = redis.call('RPUSH', names.of_job .. about.id, id)
  -- Clean up expired deliveries as new ones are added.
  for _, old in ipairs(redis.call('ZRANGE', of_tenant, 0, 1)) do
    if redis.call('EXISTS', names.delivery .. old) == 0 then
      redis.call('ZREM', of_tenant, old)
    end
  end
  -- Keeps the order of a job's deliveries within a millisecond.
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

-- A tenant's enabled endpoints.
local function endpoints_of(names, tenant)
  local stored = redis.call('HVALS', names.endpoints .. tenant)
  table.sort(stored)
  local enabled = {}
  for _, each in ipairs(stored) do
    local endpoint = cjson.decode(each)
    if endpoint.enabled then
      table.insert(enabled, endpoint)
    end
  end
  return enabled
end

-- Create deliveries of an event to receivers that have subscribed to it.
local function deliver(names, receivers, about, event, now)
  for _, receiver in ipairs(receivers) do
    if wants(receiver.events, event) then
      write(names, about, event, receiver.url, receiver.id, now)
    end
  end
end

-- Create deliveries of an event that concerns no job to the tenant's endpoints. `about`: `id`, which takes the place of a
-- job's, `tenant`, `at`, the time as text, `attempt`, and the event's `data` as JSON.
local function notify_endpoints(names, about, event, now)
  deliver(names, endpoints_of(names, about.tenant), about, event, now)
end

-- Create deliveries of a job's new state to all subscribed receivers: the tenant's endpoints and the job's own URL.
-- `about`: `id` of the job, `tenant`, `event`, and `at`, the time as text.
local function notify(names, job, about, now)
  local options, attempt, kind = unpack(redis.call('HMGET', job, 'options', 'attempt', 'kind'))
  local events = {about.event, kind ~= 'train' and OF_VIDEOS[about.event] or nil}
  options = cjson.decode(options or '{}')
  about.attempt = attempt
  local receivers = endpoints_of(names, about.tenant)
  if type(options.webhook_url) == 'string' then
    table.insert(receivers, {id = '', url = options.webhook_url, events = options.webhook_events})
  end
  for _, event in ipairs(events) do
    deliver(names, receivers, about, event, now)
  end
end

-- Keep a job's deliveries as long as its record, and the tenant's index as long as its last delivery.
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

