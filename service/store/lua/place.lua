-- The position of a job in its tenant's queue, 1 is next; 0 if it is not queued. `queues` is the prefix of all queues.
local function place_of(id, status, kind, tenant, queues)
  local rank = status == 'queued' and redis.call('ZRANK', queues .. kind .. ':' .. tenant, id)
  return rank and rank + 1 or 0
end

