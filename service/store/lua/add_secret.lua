-- Add a secret that signs a tenant's webhooks.
-- KEYS[1] the secrets, the newest first
-- ARGV[1] JSON of the new one, ARGV[2] `first` where it is to be added only if there is none, ARGV[3] how many are kept
-- Returns all of them.
if ARGV[2] ~= 'first' or redis.call('LLEN', KEYS[1]) == 0 then
  redis.call('LPUSH', KEYS[1], ARGV[1])
  redis.call('LTRIM', KEYS[1], 0, ARGV[3] - 1)
end
return redis.call('LRANGE', KEYS[1], 0, -1)
