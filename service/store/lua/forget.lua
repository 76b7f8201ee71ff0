-- Drop from the indexes the jobs whose records have expired.
-- KEYS[1] times at which places in the index go
-- ARGV[1] how many at most, ARGV[2] prefix of the tenants' indexes, ARGV[3] of their usage
-- Returns how many.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1])
for _, member in ipairs(due) do
  local tenant, id = string.match(member, '^(.*):(.*)$')
  redis.call('ZREM', ARGV[2] .. tenant, id)
  release(ARGV[3] .. tenant, 'records/' .. id)
  redis.call('ZREM', KEYS[1], member)
end
return #due
