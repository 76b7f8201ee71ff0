-- Add a secret that signs a tenant's webhooks.
-- keys: secrets
-- args: `secret`, JSON; `only_first` where it is to be added only if there is none; how many are `kept`
-- Returns all of them, the newest first.
if not args.only_first or redis.call('LLEN', keys.secrets) == 0 then
  redis.call('LPUSH', keys.secrets, args.secret)
  redis.call('LTRIM', keys.secrets, 0, args.kept - 1)
end
return redis.call('LRANGE', keys.secrets, 0, -1)
