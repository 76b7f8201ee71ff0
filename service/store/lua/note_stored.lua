-- Count what a running attempt has stored, or that an item has another size now.
-- uses: usage
-- keys: job usage
-- asks: `attempt`, a string; states in which a worker has a job (`held`), bytes of `items`
-- Returns 1, or 0 where the job is no longer the attempt's.
local status, attempt = unpack(redis.call('HMGET', keys.job, 'status', 'attempt'))
if attempt ~= ask.attempt or not ask.held[status] then
  return 0
end
for item, bytes in pairs(ask.items) do
  keep(keys.usage, item, bytes)
end
return 1
