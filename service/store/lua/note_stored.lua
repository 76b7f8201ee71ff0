-- Count what a running attempt has stored, or that an item has another size now.
-- KEYS[1] job hash, KEYS[2] the tenant's usage
-- ARGV[1] attempt that asks, ARGV[2...] item, bytes
-- Returns 1, or 0 where the job is no longer the attempt's.
local status, attempt = unpack(redis.call('HMGET', KEYS[1], 'status', 'attempt'))
if attempt ~= ARGV[1] or (status ~= 'running' and status ~= 'canceling') then
  return 0
end
for index = 2, #ARGV, 2 do
  keep(KEYS[2], ARGV[index], tonumber(ARGV[index + 1]))
end
return 1
