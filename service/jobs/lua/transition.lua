-- Move a job to its next state, if it is in a state that allows it and the attempt that asks still holds it.
-- KEYS[1] job hash, KEYS[2] sorted set of waiting jobs
-- ARGV[1] job id, ARGV[2] states it may be left in, comma separated, ARGV[3] next state,
-- ARGV[4] attempt that asks, empty for none, ARGV[5] 1 to begin a new attempt, else 0, ARGV[6...] field, value
-- Returns 1, or 0 where nothing was changed.
local status, attempt = unpack(redis.call('HMGET', KEYS[1], 'status', 'attempt'))
if not status or not string.find(',' .. ARGV[2] .. ',', ',' .. status .. ',', 1, true) then
  return 0
end
if ARGV[4] ~= '' and ARGV[4] ~= attempt then
  return 0
end
redis.call('HSET', KEYS[1], 'status', ARGV[3], 'attempt', attempt + ARGV[5], unpack(ARGV, 6))
redis.call('ZREM', KEYS[2], ARGV[1])
return 1
