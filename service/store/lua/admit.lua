-- Check whether announce.lua and create.lua would accept a job now, without writing anything.
-- uses: admission
-- keys: queue tenant kept model_marks...
-- args: `tenant` and its `limits`; prefix of the `months` of usage; `record_bytes` and `stored_bytes` of the job; if it
-- reuses an earlier job's input: key of that job's hash (`earlier`), and the job that the input was stored for (`owner`)
-- Returns why not, as in admission.lua; empty if it would be accepted.
local more = {records = 1, record_bytes = args.record_bytes, stored_bytes = math.max(args.stored_bytes, 1)}
return refused(keys, args, more) or ''
