-- Send deliveries again, from the beginning of their schedule. This ends the back-off of a tenant's endpoint, but not that
-- of a job's URL, so that nobody can flood a third party.
-- uses: outbox
-- keys: due
-- args: `names` of keys; `now`; `ids`; `status` that they must have, empty for any
-- Returns the number of deliveries.
local names, now = args.names, args.now
local count = 0
for _, id in ipairs(args.ids) do
  local key = names.delivery .. id
  local job, receiver, endpoint, status, tenant, url =
    unpack(redis.call('HMGET', key, 'job', 'receiver', 'endpoint', 'status', 'tenant', 'url'))
  if job and (args.status == '' or args.status == status) then
    redis.call('HSET', key, 'status', 'pending', 'tries', 0)
    if endpoint ~= '' then
      redis.call('DEL', names.receiver .. receiver)
    end
    local leased = redis.call('ZSCORE', names.sending .. receiver, id)
    if status ~= 'pending' then
      join(names, {id = id, job = job, receiver = receiver, tenant = tenant, host = host_of(url)}, now)
    elseif not leased or tonumber(leased) <= now then
      redis.call('ZADD', names.pending .. receiver, 'XX', now, id)
      schedule(names, receiver, now, tenant, host_of(url))
    end
    count = count + 1
  end
end
return count
