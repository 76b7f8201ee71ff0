-- Read a job; if it is queued, with its position in its tenant's queue and the facts for its estimate.
-- uses: clock place estimate
-- keys: job api_keys
-- args: `id`, `names` as in estimate.lua; `token`, the hash of an API key, if the job is only for its holder
-- Returns a JSON list, which the client reads sooner than as many replies: the stored API key, false if there is no such key
-- or no `token`; the hash as a list of fields and values; the position, 1 is next, 0 is not queued; what estimate.lua
-- returns, false if it is not queued. Without the job, only the first.
local key = args.token and redis.call('HGET', keys.api_keys, args.token) or false
if args.token and not key then
  return cjson.encode({false})
end
local stored = redis.call('HGETALL', keys.job)
if #stored == 0 then
  return cjson.encode({key})
end
local status, kind, tenant, workload = unpack(redis.call('HMGET', keys.job, 'status', 'kind', 'tenant', 'workload'))
local place = place_of(args.id, status, kind, tenant, args.names.queues)
local facts = place > 0 and workload and estimate(args.names, now_ms(), kind, tenant, {args.id}, {workload})
return cjson.encode({key, stored, place, facts})
