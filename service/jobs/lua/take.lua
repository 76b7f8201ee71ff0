-- Begin an attempt at the job that is next: of the tenants whose lines are not empty, the one that has had least of the
-- workers for its weight (start-time fair queueing), and of its line the first.
-- KEYS[1] tenants with a line, by virtual time, KEYS[2] virtual time of the last job taken, KEYS[3] leases, KEYS[4] hints
-- ARGV[1] prefix of lines, ARGV[2] prefix of jobs that run, ARGV[3] prefix of tenants, ARGV[4] prefix of job hashes,
-- ARGV[5] prefix of events, ARGV[6] lease in milliseconds, ARGV[7...] field, value
-- Returns the job's id; empty where none may be taken.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for _, tenant in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  local line, running = ARGV[1] .. tenant, ARGV[2] .. tenant
  local id = redis.call('ZRANGE', line, 0, 0)[1]
  local limit, weight = unpack(redis.call('HMGET', ARGV[3] .. tenant, 'max_running', 'weight'))
  if not id then
    redis.call('ZREM', KEYS[1], tenant)
  elseif not limit or redis.call('SCARD', running) < tonumber(limit) then
    local start = tonumber(redis.call('ZSCORE', KEYS[1], tenant))
    redis.call('SET', KEYS[2], start)
    redis.call('ZADD', KEYS[1], start + 1 / (weight or 1), tenant)
    redis.call('ZREM', line, id)
    redis.call('ZREM', KEYS[4], id)
    redis.call('SADD', running, id)
    redis.call('ZADD', KEYS[3], now + ARGV[6], id)
    redis.call('HSET', ARGV[4] .. id, 'status', 'running', unpack(ARGV, 7))
    redis.call('HINCRBY', ARGV[4] .. id, 'attempt', 1)
    redis.call('HSETNX', ARGV[4] .. id, 'started_at', ARGV[8])
    redis.call('XADD', ARGV[5] .. id, 'MAXLEN', '~', 10000, '*', 'type', 'job.running', 'data', '{}')
    return id
  end
end
return ''
