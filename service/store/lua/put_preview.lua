-- Replace the preview of an attempt and write an event, if the attempt still holds the job.
-- uses: held
-- keys: job events preview
-- args: `attempt` and `held` as in held.lua; `event`, JSON; `kept_ms` at the longest
-- fields: `webp` and the picture
-- Returns 1, or 0 if another attempt holds the job, or none.
if not state_if_held(keys.job, args) then
  return 0
end
redis.call('SET', keys.preview, fields[2], 'PX', args.kept_ms)
redis.call('XADD', keys.events, 'MAXLEN', '~', 10000, '*', 'type', 'preview', 'data', args.event)
return 1
