-- Have what is stored for a job removed after a time, unless the job is made before; there must be room for both.
-- uses: clock usage
-- keys: removals usage tenant
-- asks: `member`, `<tenant>:<job>`; `id` of the job, `wait_ms` until then, `stored_bytes` of its input, `limits`; a job
-- without an input leaves something, too
-- Returns the name of the limit that leaves no room; empty where there is.
local full = lacks(keys.usage, keys.tenant, ask.limits, {records = 1, stored_bytes = math.max(ask.stored_bytes, 1)})
if full then
  return full
end
redis.call('ZADD', keys.removals, now_ms() + ask.wait_ms, ask.member)
if ask.stored_bytes > 0 then
  keep(keys.usage, 'inputs/' .. ask.id, ask.stored_bytes)
end
return ''
