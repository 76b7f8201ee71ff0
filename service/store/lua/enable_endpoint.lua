-- Have an endpoint told again that was disabled.
-- keys: endpoints
-- asks: `id`
-- Returns 1, or 0 where there is none.
local stored = redis.call('HGET', keys.endpoints, ask.id)
if not stored then
  return 0
end
local endpoint = cjson.decode(stored)
endpoint.enabled = true
redis.call('HSET', keys.endpoints, ask.id, cjson.encode(endpoint))
return 1
