-- Append a decision of the operator's policy to the audit log, and to a job's events if it has one (service/store/audit.py).
-- `decision`: `entry` and `event`, both JSON; `kept_ms`, after which entries are trimmed; `counts`: amounts by counter.
local function record_decision(audit, events, counters, decision, now)
  redis.call('XADD', audit, 'MINID', '~', string.format('%.0f', now - decision.kept_ms), '*', 'data', decision.entry)
  if decision.event then
    redis.call('XADD', events, '*', 'type', 'policy', 'data', decision.event)
  end
  for counter, amount in pairs(decision.counts) do
    redis.call('HINCRBYFLOAT', counters, counter, amount)
  end
end
