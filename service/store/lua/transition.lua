-- Carry out an event of the table of transitions (service/contract/states.py), if the job's state allows it and the attempt,
-- if one is given, still holds the job.
-- uses: clock effects
-- keys: job queue wakeups events leases preview running tenants virtual_time deadlines removals counters kept tenant model_users...
-- args: `id`, `tenant`, `member`: `<tenant>:<job>`; `moves`: the event's rows by current state, each with the next state
-- (`to`), the set of `effects` and what to add to the counters (`counts`); `attempt`, a string, or none; `only_lapsed`: the
-- lease must have expired; `lease_ms`; `place` in the queue; `now` and `expires_at` of an ended record as text;
-- `retention_seconds` of the record and `data_ms` of its data from now on Redis' clock; `entry_type` (the next state's if
-- none) and `entry_data` of the entry in the job's events; names of `webhooks`; `stored_bytes` of `stored_item`, if any;
-- `usage`: names of its keys (`names`), and `about` the job as usage.lua takes it; `limits` of the tenant; `output_ms` of a
-- video, if any
-- fields: what to write into the record
-- Returns the job's state, with a leading `=` if nothing changed; empty if there is no such job.
local status, attempt = unpack(redis.call('HMGET', keys.job, 'status', 'attempt'))
if not status then
  return ''
end
local move = args.moves[status]
local now = now_ms()
local lapses = redis.call('ZSCORE', keys.leases, args.id)
local held = args.only_lapsed and not (lapses and tonumber(lapses) <= now)
if not move or held or (args.attempt and args.attempt ~= attempt) then
  return '=' .. status
end
apply(move, keys, args, fields, now)
return move.to
