-- Why a tenant may not have another job: its `model` has been deleted, its `queue` is full, the `input` of the earlier job that
-- it shares has been removed, or the name of the limit that leaves no room; nothing where it may. `keys` and `args` are those
-- of create.lua, `more` what is to be kept for it by the names of the limits.
-- uses: quota
local function refused(keys, args, more)
  if redis.call('EXISTS', keys.deleted_model) == 1 then
    return 'model'
  end
  local limit = redis.call('HGET', keys.tenant, 'max_waiting')
  if limit and redis.call('ZCARD', keys.queue) >= tonumber(limit) then
    return 'queue'
  end
  if args.owner and not redis.call('HGET', args.earlier, 'input_key') then
    return 'input'
  end
  return lacks(keys.kept, keys.tenant, args.limits, more)
end

