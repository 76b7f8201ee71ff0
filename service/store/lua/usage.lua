-- Functions that add to a tenant's usage of devices.
-- uses: calendar budget outbox
-- The usage of a day is a hash; its fields are `<kind>|<model>|` and `attempts` that ended, `device_ms`, `output_ms` and
-- `output_bytes`, `cost_micros`, or how jobs ended: `succeeded`, `failed`, `canceled`, `expired`.

-- Milliseconds that the attempt which holds a job has had its devices, until it left them or else up to a moment; they are
-- added to the job's.
local function end_attempt(job, moment)
  local taken, left, devices = unpack(redis.call('HMGET', job, 'taken_ms', 'left_ms', 'devices'))
  local device_ms = math.max(0, math.min(moment, left or moment) - (taken or moment)) * (devices or 1)
  redis.call('HINCRBY', job, 'device_ms', device_ms)
  return device_ms
end

-- Add to a tenant's usage of the day and the month. `names`: prefixes of the `days` and the `months` of tenants, the set of
-- `tenants` by their last day;
-- `about`: `tenant`, `kind`, `model`, `kept_seconds`, and unless it is free `micros_per_ms` on a device; `amounts` by the
-- names above but the cost.
local function use(names, about, amounts, now)
  local today = date_of(now)
  local day = names.days .. about.tenant .. ':' .. today
  if amounts.device_ms and about.micros_per_ms then
    amounts.cost_micros = math.floor(amounts.device_ms * about.micros_per_ms + 0.5)
  end
  for name, amount in pairs(amounts) do
    if amount > 0 then
      redis.call('HINCRBY', day, about.kind .. '|' .. about.model .. '|' .. name, amount)
    end
  end
  redis.call('EXPIRE', day, about.kept_seconds)
  local month = names.months .. about.tenant .. ':' .. string.sub(today, 1, 7)
  for _, name in ipairs({'device_ms', 'cost_micros'}) do
    if (amounts[name] or 0) > 0 then
      redis.call('HINCRBY', month, name, amounts[name])
      redis.call('EXPIRE', month, about.kept_seconds)
    end
  end
  redis.call('ZADD', names.tenants, math.floor(now / 86400000), about.tenant)
  redis.call('ZREMRANGEBYSCORE', names.tenants, '-inf', math.floor((now / 1000 - about.kept_seconds) / 86400))
end

local WARNING_SHARE = 0.8

-- Warn the tenant's endpoints once a month when most of its budget has been used. `own` and `limits` as in budget.lua;
-- `webhooks`: names of the outbox; `warning`: `at`, the time as text, and `expires_unix` of the deliveries.
local function warn_of_budget(names, own, limits, tenant, webhooks, warning, now)
  local budget = budget_of(names.months, own, limits, tenant, now)
  if not has_used(budget, WARNING_SHARE) then
    return
  end
  if redis.call('HSETNX', names.months .. tenant .. ':' .. budget.month, 'warned', now) == 1 then
    local id = 'budget:' .. tenant .. ':' .. budget.month
    local about = {id = id, tenant = tenant, at = warning.at, attempt = 0, data = cjson.encode(budget)}
    notify_endpoints(webhooks, about, 'usage.budget_warning', now)
    expire(webhooks, id, tenant, warning.expires_unix)
  end
end

