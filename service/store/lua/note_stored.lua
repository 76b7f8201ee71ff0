-- Count what a running attempt has stored, or that an item has another size now.
-- uses: quota
-- keys: job kept
-- args: `attempt`, a string; states in which a worker has a job (`held`), bytes of `items`
-- Returns 1, or 0 where the job is no longer the attempt's.
local status, attempt = unpack(redis.call('HMGET', keys.job, 'status', 'attempt'))
if attempt ~= args.attempt or not args.held[status] then
  return 0
end
for item, bytes in pairs(args.items) do
  keep(keys.kept, item, bytes)
end
return 1
