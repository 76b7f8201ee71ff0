-- Remove jobs whose records have expired from the indexes.
-- uses: clock quota
-- keys: unlisted
-- args: maximum number (`limit`); prefixes of the tenants' `indexes` and of what is `kept` for them
-- Returns the number of removed jobs.
local due = redis.call('ZRANGEBYSCORE', keys.unlisted, '-inf', now_ms(), 'LIMIT', 0, args.limit)
for _, member in ipairs(due) do
  local tenant, id = string.match(member, '^(.*):(.*)$')
  redis.call('ZREM', args.indexes .. tenant, id)
  release(args.kept .. tenant, 'records/' .. id)
  redis.call('ZREM', keys.unlisted, member)
end
return #due
