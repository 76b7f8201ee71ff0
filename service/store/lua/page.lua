-- Read a page of a tenant's jobs that match a filter, newest or oldest first; drop expired ones from the index.
-- uses: place
-- keys: index
-- args: `newest` and `oldest` id as bounds of ZREVRANGEBYLEX; `oldest_first`; `status` and `kinds`, empty for any; maximum
-- number (`limit`); `max_scanned`: maximum number of jobs to examine; `max_bytes` of hashes, after which the page ends;
-- prefixes of `jobs` and `queues`
-- Returns the id after which the next page begins, false if there is none; 1 if `max_bytes` has ended the page, or 0; then
-- for each job its hash and position as read.lua returns them.
local ids
if args.oldest_first then
  ids = redis.call('ZRANGEBYLEX', keys.index, args.oldest, args.newest, 'LIMIT', 0, args.max_scanned)
else
  ids = redis.call('ZREVRANGEBYLEX', keys.index, args.newest, args.oldest, 'LIMIT', 0, args.max_scanned)
end
local any_kind = next(args.kinds) == nil
local page, last, bytes = {false, 0}, nil, 0
for _, id in ipairs(ids) do
  local key = args.jobs .. id
  local status, kind, tenant = unpack(redis.call('HMGET', key, 'status', 'kind', 'tenant'))
  last = id
  if not status then
    redis.call('ZREM', keys.index, id)
  elseif (args.status == '' or status == args.status) and (any_kind or args.kinds[kind]) then
    local record = cjson.encode(redis.call('HGETALL', key))
    table.insert(page, {record, place_of(id, status, kind, tenant, args.queues)})
    bytes = bytes + #record
    if #page - 2 >= args.limit or bytes >= args.max_bytes then break end
  end
end
if #ids == args.max_scanned or last ~= ids[#ids] then page[1] = last end
if bytes >= args.max_bytes then page[2] = 1 end
return page
