-- How things stand before a waiting job, or before one that would be its tenant's next.
-- KEYS[1] the tenant's line, KEYS[2] tenants with a line, KEYS[3] workers by when they count as gone, KEYS[4] leases,
-- KEYS[5] mean times of the job's workload, KEYS[6] of its kind
-- ARGV[1] job id, ARGV[2] tenant, ARGV[3] prefix of lines, ARGV[4] prefix of tenants
-- Returns jobs that are taken before it; workers; jobs that run; and milliseconds a step, beside the steps, and of any job
-- of the kind.
local MOST_TENANTS = 200
local function weight(tenant)
  return tonumber(redis.call('HGET', ARGV[4] .. tenant, 'weight') or 1)
end
local before = redis.call('ZRANK', KEYS[1], ARGV[1]) or 0
local own, ahead = weight(ARGV[2]), before
-- While the tenant has its turns, each other has as many as its weight gives it, or its line holds.
for _, tenant in ipairs(redis.call('ZRANGE', KEYS[2], 0, MOST_TENANTS - 1)) do
  if tenant ~= ARGV[2] then
    local turns = math.floor((before + 1) * weight(tenant) / own)
    ahead = ahead + math.min(turns, redis.call('ZCARD', ARGV[3] .. tenant))
  end
end
local time = redis.call('TIME')
local workers = redis.call('ZCOUNT', KEYS[3], time[1] * 1000 + math.floor(time[2] / 1000), '+inf')
local step, beside = unpack(redis.call('HMGET', KEYS[5], 'step', 'beside'))
return {ahead, workers, redis.call('ZCARD', KEYS[4]), step, beside, redis.call('HGET', KEYS[6], 'whole')}
