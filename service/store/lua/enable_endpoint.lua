-- Enable a disabled endpoint.
-- keys: endpoints
-- args: `id`
-- Returns 1, or 0 if there is no such endpoint.
local stored = redis.call('HGET', keys.endpoints, args.id)
if not stored then
  return 0
end
local endpoint = cjson.decode(stored)
endpoint.enabled = true
redis.call('HSET', keys.endpoints, args.id, cjson.encode(endpoint))
return 1
