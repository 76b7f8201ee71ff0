-- Functions that count what is kept for a tenant.
-- What is kept for a tenant is a hash: of each item its bytes, and totals under `total:`. An item is named by its kind
-- and its id: `records/<job>` in Redis; `inputs/<job>`, `jobs/<job>`, `uploads/<upload>`, … in the storage.
local function kind_of(item)
  return string.sub(item, 1, 8) == 'records/' and 'record_bytes' or 'stored_bytes'
end

-- Count an item that is kept, or that has another size now.
local function keep(kept_items, item, bytes)
  local before = redis.call('HGET', kept_items, item)
  redis.call('HSET', kept_items, item, bytes)
  redis.call('HINCRBY', kept_items, 'total:' .. kind_of(item), bytes - (before or 0))
  if not before and kind_of(item) == 'record_bytes' then
    redis.call('HINCRBY', kept_items, 'total:records', 1)
  end
end

-- An item is gone. What was kept before there was this count is in none.
local function release(kept_items, item)
  local bytes = redis.call('HGET', kept_items, item)
  if bytes then
    redis.call('HDEL', kept_items, item)
    redis.call('HINCRBY', kept_items, 'total:' .. kind_of(item), -bytes)
    if kind_of(item) == 'record_bytes' then
      redis.call('HINCRBY', kept_items, 'total:records', -1)
    end
  end
end

-- What there is no room for beside all that is kept: the name of a limit, or nothing. `limits` by name, which a tenant's
-- own, in its hash, go before; one that is not there is no limit. `more` by the same names.
local function lacks(kept_items, tenant, limits, more)
  for _, name in ipairs({'records', 'record_bytes', 'stored_bytes'}) do
    local limit = tonumber(redis.call('HGET', tenant, 'max_' .. name) or limits[name] or nil)
    local kept = tonumber(redis.call('HGET', kept_items, 'total:' .. name) or 0)
    if limit and more[name] and more[name] > 0 and kept + more[name] > limit then
      return name
    end
  end
  return nil
end

