-- Have what is stored for a job removed after a time, unless the job is made before; there must be room for both.
-- KEYS[1] times at which data goes, KEYS[2] the tenant's usage, KEYS[3] tenant
-- ARGV[1] JSON: `tenant`, `id` of the job, `wait_ms` until then, `stored_bytes` of its input, `limits`; a job without an
-- input leaves something, too
-- Returns the name of the limit that leaves no room; empty where there is.
local ask = cjson.decode(ARGV[1])
local full = lacks(KEYS[2], KEYS[3], ask.limits, {records = 1, stored_bytes = math.max(ask.stored_bytes, 1)})
if full then
  return full
end
local time = redis.call('TIME')
redis.call('ZADD', KEYS[1], time[1] * 1000 + math.floor(time[2] / 1000) + ask.wait_ms, ask.tenant .. ':' .. ask.id)
if ask.stored_bytes > 0 then
  keep(KEYS[2], 'inputs/' .. ask.id, ask.stored_bytes)
end
return ''
