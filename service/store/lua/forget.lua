-- Drop from the indexes the jobs whose records have expired.
-- uses: clock quota
-- keys: unlisted
-- args: how many at most (`limit`), prefixes of the tenants' `indexes` and of their `kept`
-- Returns how many.
local due = redis.call('ZRANGEBYSCORE', keys.unlisted, '-inf', now_ms(), 'LIMIT', 0, args.limit)
for _, member in ipairs(due) do
  local tenant, id = string.match(member, '^(.*):(.*)$')
  redis.call('ZREM', args.indexes .. tenant, id)
  release(args.kept .. tenant, 'records/' .. id)
  redis.call('ZREM', keys.unlisted, member)
end
return #due
