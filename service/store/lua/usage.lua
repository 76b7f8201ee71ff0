-- Functions that add to a tenant's usage: what it has had of the devices.
-- uses: calendar
-- The usage of a day is a hash; its fields are `<kind>|<model>|` and `attempts` that ended, `device_ms`, `output_ms` and
-- `output_bytes`, `cost_micros`, or how jobs ended: `succeeded`, `failed`, `canceled`, `expired`.

-- Milliseconds that the attempt which holds a job has had its devices, up to a moment; they are added to the job's.
local function end_attempt(job, moment)
  local taken, devices = unpack(redis.call('HMGET', job, 'taken_ms', 'devices'))
  local device_ms = math.max(0, moment - (taken or moment)) * (devices or 1)
  redis.call('HINCRBY', job, 'device_ms', device_ms)
  return device_ms
end

-- Add to a tenant's usage of the day. `names`: prefix of the `days` of tenants, the set of `tenants` by their last day;
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
  redis.call('ZADD', names.tenants, math.floor(now / 86400000), about.tenant)
  redis.call('ZREMRANGEBYSCORE', names.tenants, '-inf', math.floor((now / 1000 - about.kept_seconds) / 86400))
end

