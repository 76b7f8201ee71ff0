-- Jobs of which the workers are to be told, each put off to be told of again after twice the time it has waited.
-- KEYS[1] times of wake-ups
-- ARGV[1] how many at most, ARGV[2] milliseconds until the next time at least, ARGV[3] prefix of job hashes
-- Returns job id, kind, job id, kind, …
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local due = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1])) do
  local kind, queued = unpack(redis.call('HMGET', ARGV[3] .. id, 'kind', 'queued_ms'))
  if kind then
    redis.call('ZADD', KEYS[1], now + math.max(ARGV[2], now - queued), id)
    table.insert(due, id)
    table.insert(due, kind)
  else
    redis.call('ZREM', KEYS[1], id)
  end
end
return due
