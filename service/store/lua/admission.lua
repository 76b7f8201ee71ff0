-- Why a tenant may not create a job: a `model` that it uses has been deleted, the `queue` is full, the `input` that it
-- shares with an earlier job has been removed, its `budget` for the month is used up, or the name of a limit that it would
-- exceed; nil if it may. `keys` and `args` are those of create.lua, `more` is what the job adds, by the names of the
-- limits.
-- uses: clock quota budget
local function refused(keys, args, more)
  for at = 2, #keys.model_marks, 2 do
    if redis.call('EXISTS', keys.model_marks[at]) == 1 then
      return 'model'
    end
  end
  local limit = redis.call('HGET', keys.tenant, 'max_waiting')
  if limit and redis.call('ZCARD', keys.queue) >= tonumber(limit) then
    return 'queue'
  end
  if args.owner and not redis.call('HGET', args.earlier, 'input_key') then
    return 'input'
  end
  if is_spent(keys, args, now_ms()) then
    return 'budget'
  end
  return lacks(keys.kept, keys.tenant, args.limits, more)
end

