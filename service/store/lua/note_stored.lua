-- Record what a running attempt has stored, or an item's new size.
-- uses: held quota
-- keys: job kept
-- args: `attempt` and `held` as in held.lua; bytes by item (`items`)
-- Returns 1, or 0 if the attempt no longer holds the job.
if not state_if_held(keys.job, args) then
  return 0
end
for item, bytes in pairs(args.items) do
  keep(keys.kept, item, bytes)
end
return 1
