-- Make room for an upload, and note when it goes.
-- KEYS[1] uploads by the time at which they expire, KEYS[2] the tenant's usage, KEYS[3] tenant
-- ARGV[1] JSON: `key` in the storage, `item` of the usage, `seconds` until it goes, `bytes`, `limits`
-- Returns the name of the limit that leaves no room; empty where there is.
local ask = cjson.decode(ARGV[1])
local full = lacks(KEYS[2], KEYS[3], ask.limits, {stored_bytes = math.max(ask.bytes, 1)})
if full then
  return full
end
local time = redis.call('TIME')
redis.call('ZADD', KEYS[1], string.format('%.3f', time[1] + time[2] / 1000000 + ask.seconds), ask.key)
keep(KEYS[2], ask.item, ask.bytes)
return ''
