-- Look up an API key, and count the request against its tenant's rate limit if the key has the scopes.
-- uses: limit
-- keys: api_keys
-- args: `token`, the hash of the key; `scopes` that the request needs, and `all`, the scope that includes them; prefix of
-- the `tenants`' limits; `period_ms` of the limit
-- Returns the stored key, false if there is none; and what limit.lua returns, false if the request was not counted.
local key = redis.call('HGET', keys.api_keys, args.token)
if not key then
  return {false, false}
end
local holder, has = cjson.decode(key), {}
for _, scope in ipairs(holder.scopes) do
  has[scope] = true
end
for _, scope in ipairs(args.scopes) do
  if not has[scope] and not has[args.all] then
    return {key, false}
  end
end
local tenant = args.tenants .. holder.tenant
return {key, count_request(tenant, tenant .. ':rate', args.period_ms)}
