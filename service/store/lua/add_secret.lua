-- Add a signing secret for a tenant's webhooks.
-- keys: secrets
-- args: `secret`, JSON; `only_first`: add it only if there is none; `kept`: how many to keep
-- Returns all secrets, newest first.
if not args.only_first or redis.call('LLEN', keys.secrets) == 0 then
  redis.call('LPUSH', keys.secrets, args.secret)
  redis.call('LTRIM', keys.secrets, 0, args.kept - 1)
end
return redis.call('LRANGE', keys.secrets, 0, -1)
