-- Functions of a tenant's budget, which limits what it may use in a month.
-- uses: calendar
-- The usage of a month is a hash: `device_ms` and `cost_micros`, and `warned` once a warning has been sent.

-- A tenant's budget for the month of a time in milliseconds, and what it has used of it; nil if it has no budget.
-- `months`: prefix of the hashes; `own`: key of the tenant's limits, which take precedence over `limits`.
local function budget_of(months, own, limits, tenant, now)
  local seconds, cost = unpack(redis.call('HMGET', own, 'monthly_device_seconds', 'monthly_cost'))
  seconds = tonumber(seconds or limits.monthly_device_seconds or nil)
  cost = tonumber(cost or limits.monthly_cost or nil)
  if not seconds and not cost then
    return nil
  end
  local month = string.sub(date_of(now), 1, 7)
  local device_ms, cost_micros = unpack(redis.call('HMGET', months .. tenant .. ':' .. month, 'device_ms', 'cost_micros'))
  return {
    month = month,
    device_ms = tonumber(device_ms or 0),
    cost_micros = tonumber(cost_micros or 0),
    max_device_seconds = seconds,
    max_cost = cost,
  }
end

-- Whether a share of a budget has been used, of its device time or of its cost.
local function has_used(budget, share)
  return budget ~= nil and (
    (budget.max_device_seconds ~= nil and budget.device_ms >= share * budget.max_device_seconds * 1000)
    or (budget.max_cost ~= nil and budget.cost_micros >= share * budget.max_cost * 1000000))
end

-- Whether the budget of the tenant that a script is about is used up; `keys` and `args` are the script's.
local function is_spent(keys, args, now)
  return has_used(budget_of(args.months, keys.tenant, args.limits, args.tenant, now), 1)
end

