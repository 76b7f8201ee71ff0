"""Metrics of this process alone; what is counted for all processes together is in jobs/counters.py."""

import prometheus_client
from prometheus_client import Counter, Histogram

# The moment at which each was first counted tells nobody anything.
prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]

HTTP_REQUESTS = Histogram(
    "cinemo_http_request_seconds",
    "Time until a request was answered in full.",
    ("route", "method", "status"),
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)
UNAVAILABLE = Counter("cinemo_unavailable", "Requests refused as a part of the service did not answer.", ("part",))
for part in ("redis", "storage"):
    UNAVAILABLE.labels(part)
