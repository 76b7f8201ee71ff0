-- Mark a model as deleted, unless a job that has not ended uses it; from then on no job can be made with it.
-- KEYS[1] jobs that use it, KEYS[2] its mark
-- ARGV[1] prefix of job hashes
-- Returns 1, or 0 where it is in use.
for _, id in ipairs(redis.call('SMEMBERS', KEYS[1])) do
  if redis.call('EXISTS', ARGV[1] .. id) == 1 then
    return 0
  end
  redis.call('SREM', KEYS[1], id)
end
redis.call('SET', KEYS[2], '1')
return 1
