-- Append a decision of the operator's policy to the audit log, and to the job's events if there is an `event`.
-- uses: clock audit
-- keys: audit events counters
-- args: `entry`, `event` or none, `kept_ms`, `counts`, as in audit.lua
record_decision(keys.audit, keys.events, keys.counters, args, now_ms())
return 1
