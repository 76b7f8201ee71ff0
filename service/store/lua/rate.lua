-- Count a request against a tenant's rate limit.
-- uses: limit
-- keys: rate tenant
-- args: `period_ms` of the limit
-- Returns what limit.lua returns.
return count_request(keys.tenant, keys.rate, args.period_ms)
