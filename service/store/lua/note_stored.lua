-- Record what a running attempt has stored, or an item's new size.
-- uses: quota
-- keys: job kept
-- args: `attempt`, a string; states in which a worker holds a job (`held`); bytes by item (`items`)
-- Returns 1, or 0 if the attempt no longer holds the job.
local status, attempt = unpack(redis.call('HMGET', keys.job, 'status', 'attempt'))
if attempt ~= args.attempt or not args.held[status] then
  return 0
end
for item, bytes in pairs(args.items) do
  keep(keys.kept, item, bytes)
end
return 1
