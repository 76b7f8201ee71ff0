-- Jobs for which workers must be notified; the next notification is due when the job has waited twice as long.
-- uses: clock
-- keys: wakeups
-- args: maximum number (`limit`); `wakeup_ms`: minimum time until the next notification; prefix of job hashes (`jobs`)
-- Returns job id, kind, job id, kind, …
local now = now_ms()
local due = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', keys.wakeups, '-inf', now, 'LIMIT', 0, args.limit)) do
  local kind, queued = unpack(redis.call('HMGET', args.jobs .. id, 'kind', 'queued_ms'))
  if kind then
    redis.call('ZADD', keys.wakeups, now + math.max(args.wakeup_ms, now - queued), id)
    table.insert(due, id)
    table.insert(due, kind)
  else
    redis.call('ZREM', keys.wakeups, id)
  end
end
return due
