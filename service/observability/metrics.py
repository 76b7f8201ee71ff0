"""Metrics of this process; service/store/counters.py has those shared by all processes."""

import prometheus_client
from prometheus_client import Counter, Histogram

# The time at which each metric was created is of no use.
prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]

HTTP_REQUESTS = Histogram(
    "cinemo_http_request_seconds",
    "Time until a request's response was complete.",
    ("route", "method", "status"),
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)
UNAVAILABLE = Counter("cinemo_unavailable", "Requests rejected as Redis or storage was unavailable.", ("part",))
for part in ("redis", "storage"):
    UNAVAILABLE.labels(part)
