-- Facts for estimating when queued jobs of a tenant and kind start, or a job that would be the tenant's next.
-- uses: clock estimate
-- keys: workload_times...
-- args: `tenant`, `kind`, `ids` of the jobs; `place` and `names` as in estimate.lua
-- Returns what estimate.lua does.
return estimate(args.names, now_ms(), args.kind, args.tenant, args.ids, keys.workload_times, args.place)
