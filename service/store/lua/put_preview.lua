-- Replace the preview of an attempt and write an event, if the attempt still holds the job.
-- keys: job events preview
-- args: `attempt`, a string; `held`: the states in which a worker holds a job; `event`, JSON; `kept_ms` at the longest
-- fields: `webp` and the picture
-- Returns 1, or 0 if another attempt holds the job, or none.
local status, attempt = unpack(redis.call('HMGET', keys.job, 'status', 'attempt'))
if not status or not args.held[status] or attempt ~= args.attempt then
  return 0
end
redis.call('SET', keys.preview, fields[2], 'PX', args.kept_ms)
redis.call('XADD', keys.events, 'MAXLEN', '~', 10000, '*', 'type', 'preview', 'data', args.event)
return 1
