-- Have an endpoint told again that was disabled.
-- KEYS[1] the tenant's endpoints
-- ARGV[1] id
-- Returns 1, or 0 where there is none.
local stored = redis.call('HGET', KEYS[1], ARGV[1])
if not stored then
  return 0
end
local endpoint = cjson.decode(stored)
endpoint.enabled = true
redis.call('HSET', KEYS[1], ARGV[1], cjson.encode(endpoint))
return 1
