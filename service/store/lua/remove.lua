-- Mark that a job's data is being removed, before it is; from then on nobody is sent there. Its input stays for as long as
-- jobs that were run again of it have it, too.
-- KEYS[1] job hash, KEYS[2] index of the result that the data is, or the hash again where it is none's,
-- KEYS[3] the job whose input this one has, where that is not its own
-- ARGV[1] JSON: job `id`, `fields` that name data, prefix of the `holders` of an input
-- Returns nothing where the job has not ended; else the job whose input may go, empty where none may.
local ask = cjson.decode(ARGV[1])
local finished = redis.call('HGET', KEYS[1], 'finished_at')
if not finished and redis.call('EXISTS', KEYS[1]) == 1 then
  return false
end
if finished then
  redis.call('HSET', KEYS[1], 'removal_begun', 1)
  redis.call('HDEL', KEYS[1], unpack(ask.fields))
  if KEYS[2] ~= KEYS[1] and redis.call('GET', KEYS[2]) == ask.id then
    redis.call('DEL', KEYS[2])
  end
end
local owner = redis.call('GET', KEYS[3]) or ask.id
redis.call('SREM', ask.holders .. owner, ask.id)
return redis.call('EXISTS', ask.holders .. owner) == 0 and owner or ''
