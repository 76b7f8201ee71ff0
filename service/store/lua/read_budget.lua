-- Read a tenant's budget for this month.
-- uses: clock budget
-- keys: tenant
-- args: `tenant`, its `limits`, prefix of the `months` of usage
-- Returns the budget and what is used of it as JSON, as in budget.lua; empty if there is none.
local budget = budget_of(args.months, keys.tenant, args.limits, args.tenant, now_ms())
return budget and cjson.encode(budget) or ''
