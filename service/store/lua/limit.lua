-- Count a request against a tenant's limit, with a leaky bucket (generic cell rate algorithm).
-- uses: clock
-- `tenant` is the key of its limits, `rate` that of the time when the bucket will be empty; `period` is in milliseconds.
-- Returns the limit, whether the request is allowed (1 or 0), how many are left, milliseconds until the full limit is
-- available again, and milliseconds until the next request is allowed; false if the tenant has no limit.
local function count_request(tenant, rate, period)
  local limit = tonumber(redis.call('HGET', tenant, 'requests_per_minute'))
  if not limit then
    return false
  end
  local now = now_ms()
  local interval = period / limit
  local empty = math.max(tonumber(redis.call('GET', rate) or 0), now)
  if empty + interval - now > period + 0.5 then
    return {limit, 0, 0, math.ceil(empty - now), math.ceil(empty + interval - now - period)}
  end
  empty = empty + interval
  redis.call('SET', rate, string.format('%.3f', empty), 'PX', math.ceil(empty - now) + 1)
  return {limit, 1, math.floor((period - (empty - now)) / interval + 0.001), math.ceil(empty - now), 0}
end
