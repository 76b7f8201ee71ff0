-- Renew the lease of an attempt.
-- KEYS[1] job hash, KEYS[2] leases
-- ARGV[1] job id, ARGV[2] attempt that asks, ARGV[3] lease in milliseconds
-- Returns the state that the job is in; empty where the attempt no longer holds it.
local status, attempt = unpack(redis.call('HMGET', KEYS[1], 'status', 'attempt'))
if attempt ~= ARGV[2] or (status ~= 'running' and status ~= 'canceling') then
  return ''
end
local time = redis.call('TIME')
redis.call('ZADD', KEYS[2], time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[3], ARGV[1])
return status
