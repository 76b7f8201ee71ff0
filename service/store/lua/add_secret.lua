-- Add a secret that signs a tenant's webhooks.
-- keys: secrets
-- asks: `secret`, JSON; `only_first` where it is to be added only if there is none; how many are `kept`
-- Returns all of them, the newest first.
if not ask.only_first or redis.call('LLEN', keys.secrets) == 0 then
  redis.call('LPUSH', keys.secrets, ask.secret)
  redis.call('LTRIM', keys.secrets, 0, ask.kept - 1)
end
return redis.call('LRANGE', keys.secrets, 0, -1)
