-- Move a job to its next state, if its state allows it and the attempt that asks still holds it.
-- KEYS[1] job hash, KEYS[2] line, KEYS[3] times of hints, KEYS[4] events, KEYS[5] jobs that use its model,
-- KEYS[6] leases, KEYS[7] the tenant's jobs that run, KEYS[8] tenants with a line, KEYS[9] virtual time
-- ARGV[1] job id, ARGV[2] tenant, ARGV[3] moves as `state=next,state=next`, ARGV[4] attempt that asks, empty for none,
-- ARGV[5] place in the line, ARGV[6] lease in milliseconds, ARGV[7] milliseconds until the workers are told again,
-- ARGV[8] unix second at which an ended job is dropped, ARGV[9] 1 where the lease must have lapsed, else 0,
-- ARGV[10] type of the entry among the events, empty for the next state's, ARGV[11] its data,
-- ARGV[12] the time now and ARGV[13] the time of ARGV[8] as they are written, ARGV[14...] field, value
-- Returns the state that the job is in then, with a leading `=` where nothing was changed; empty for no such job.
local status, attempt = unpack(redis.call('HMGET', KEYS[1], 'status', 'attempt'))
if not status then
  return ''
end
local next_status = string.match(',' .. ARGV[3], ',' .. status .. '=(%a+)')
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local lapses = redis.call('ZSCORE', KEYS[6], ARGV[1])
local held = ARGV[9] == '1' and lapses and tonumber(lapses) > now
if not next_status or held or (ARGV[4] ~= '' and ARGV[4] ~= attempt) then
  return '=' .. status
end
redis.call('HSET', KEYS[1], 'status', next_status)
if ARGV[14] and next_status ~= 'canceled' then
  redis.call('HSET', KEYS[1], unpack(ARGV, 14))
end
if next_status == 'running' then
  redis.call('ZADD', KEYS[6], now + ARGV[6], ARGV[1])
elseif next_status ~= 'canceling' then
  redis.call('ZREM', KEYS[2], ARGV[1])
  redis.call('ZREM', KEYS[3], ARGV[1])
  redis.call('ZREM', KEYS[6], ARGV[1])
  redis.call('SREM', KEYS[7], ARGV[1])
end
if next_status == 'queued' then
  redis.call('ZADD', KEYS[2], ARGV[5], ARGV[1])
  redis.call('ZADD', KEYS[3], now + ARGV[7], ARGV[1])
  redis.call('ZADD', KEYS[8], 'NX', tonumber(redis.call('GET', KEYS[9]) or 0), ARGV[2])
elseif next_status ~= 'running' and next_status ~= 'canceling' then
  redis.call('SREM', KEYS[5], ARGV[1])
  redis.call('HSET', KEYS[1], 'finished_at', ARGV[12], 'expires_at', ARGV[13])
  redis.call('EXPIREAT', KEYS[1], ARGV[8])
  redis.call('EXPIREAT', KEYS[4], ARGV[8])
end
local type = ARGV[10]
if type == '' then
  type = 'job.' .. next_status
end
redis.call('XADD', KEYS[4], 'MAXLEN', '~', 10000, '*', 'type', type, 'data', ARGV[11])
return next_status
