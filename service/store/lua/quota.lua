-- Functions that track what is stored for a tenant.
-- It is a hash with the bytes of each item, and totals under `total:`. Items are named by kind and id: `records/<job>` in
-- Redis; `inputs/<job>`, `jobs/<job>`, `uploads/<upload>`, … in storage.
local function kind_of(item)
  return string.sub(item, 1, 8) == 'records/' and 'record_bytes' or 'stored_bytes'
end

-- Add an item, or update its size.
local function keep(kept_items, item, bytes)
  local before = redis.call('HGET', kept_items, item)
  redis.call('HSET', kept_items, item, bytes)
  redis.call('HINCRBY', kept_items, 'total:' .. kind_of(item), bytes - (before or 0))
  if not before and kind_of(item) == 'record_bytes' then
    redis.call('HINCRBY', kept_items, 'total:records', 1)
  end
end

-- Remove an item; items from before this was tracked are not counted.
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

-- The name of the first limit that adding `more` would exceed, or nil. A tenant's own limits, in its hash, override
-- `limits`; there is no limit where neither has one.
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

