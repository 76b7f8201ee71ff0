-- The place of a job in its tenant's line, 1 is next; 0 where it does not wait. `lines` is the prefix of all lines.
local function place_of(id, status, kind, tenant, lines)
  local rank = status == 'queued' and redis.call('ZRANK', lines .. kind .. ':' .. tenant, id)
  return rank and rank + 1 or 0
end
