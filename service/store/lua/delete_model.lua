-- Mark a model as deleted, unless an unfinished job uses it or a running training job publishes it. New jobs can't use it
-- from then on.
-- keys: model_users deleted_model model_publisher
-- args: prefix of job hashes (`jobs`); states in which a worker holds a job (`held`)
-- Returns 1, or 0 if the model is in use.
for _, id in ipairs(redis.call('SMEMBERS', keys.model_users)) do
  if redis.call('EXISTS', args.jobs .. id) == 1 then
    return 0
  end
  redis.call('SREM', keys.model_users, id)
end
local publisher = redis.call('GET', keys.model_publisher)
local status = publisher and redis.call('HGET', args.jobs .. publisher, 'status')
if status and args.held[status] then
  return 0
end
redis.call('SET', keys.deleted_model, '1')
return 1
