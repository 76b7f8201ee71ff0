-- Mark a model as deleted, unless a job that has not ended uses it or a training that runs publishes it; from then on no
-- job can be made with it.
-- KEYS[1] jobs that use it, KEYS[2] its mark, KEYS[3] the training that publishes it
-- ARGV[1] prefix of job hashes
-- Returns 1, or 0 where it is in use.
for _, id in ipairs(redis.call('SMEMBERS', KEYS[1])) do
  if redis.call('EXISTS', ARGV[1] .. id) == 1 then
    return 0
  end
  redis.call('SREM', KEYS[1], id)
end
local publisher = redis.call('GET', KEYS[3])
local status = publisher and redis.call('HGET', ARGV[1] .. publisher, 'status')
if status == 'running' or status == 'canceling' then
  return 0
end
redis.call('SET', KEYS[2], '1')
return 1
