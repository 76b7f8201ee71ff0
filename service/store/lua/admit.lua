-- Tell whether announce.lua and create.lua would make a job now; nothing is written.
-- uses: admission
-- keys: queue deleted_model tenant kept
-- args: `limits` of what is kept for a tenant, `record_bytes` and `stored_bytes` of the job; where it has an earlier job's
-- input: key of that job's hash (`earlier`), whose input it is (`owner`)
-- Returns why not, as admission.lua tells; empty where it would be made.
local more = {records = 1, record_bytes = args.record_bytes, stored_bytes = math.max(args.stored_bytes, 1)}
return refused(keys, args, more) or ''
