"""Prometheus metrics from Redis, which every API reports identically: job counts and the state of the queues."""

import math
import time
from collections.abc import Iterable, Iterator
from typing import get_args

import redis
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from service.contract.problems import QueueUnavailable
from service.contract.record import JobKind
from service.store.counters import SHARED_COUNTERS, SHARED_HISTOGRAMS, Counters
from service.store.queue import QUEUES, SENDERS
from service.store.queue_stats import QueueStats
from service.store.workers import WorkerRegistry, WorkerSigning, signing_of

WORKER_QUEUES = (*QUEUES.values(), SENDERS)


class SharedMetrics(Collector):
    """Reads the shared counters and the current state at each scrape."""

    def __init__(self, client: redis.Redis) -> None:
        self._counters, self._stats, self._workers = Counters(client), QueueStats(client), WorkerRegistry(client)

    def collect(self) -> Iterable[Metric]:
        """Collect all metrics; only `cinemo_redis_up` if Redis doesn't respond."""
        try:
            metrics = [*self._counts(), *self._state()]
        except QueueUnavailable:
            metrics = []
        up = GaugeMetricFamily("cinemo_redis_up", "Whether Redis responds to this API.", value=bool(metrics))
        return [up, *metrics]

    def _counts(self) -> Iterator[Metric]:
        stored = self._counters.counted()
        for counter in SHARED_COUNTERS:
            counts = CounterMetricFamily(counter.name, counter.help, labels=counter.labels)
            for values, amount in counter.read(stored).items():
                counts.add_metric(values, amount)
            yield counts
        for histogram in SHARED_HISTOGRAMS:
            durations = HistogramMetricFamily(histogram.name, histogram.help, labels=histogram.labels)
            for values, (buckets, total) in histogram.read(stored).items():
                durations.add_metric(values, buckets, total)
            yield durations

    def _state(self) -> Iterator[Metric]:
        queued = GaugeMetricFamily("cinemo_queue_jobs", "Queued jobs.", labels=["kind"])
        oldest = GaugeMetricFamily(
            "cinemo_queue_oldest_seconds", "Longest wait of a job at the head of its tenant's queue.", labels=["kind"]
        )
        running = GaugeMetricFamily("cinemo_running_jobs", "Jobs held by workers.", labels=["kind"])
        finishing = GaugeMetricFamily(
            "cinemo_finishing_jobs", "Jobs held by workers that don't use their device.", labels=["kind"]
        )
        held = self._stats.running()
        for kind in get_args(JobKind):
            queue = self._stats.waiting(kind)
            queued.add_metric([kind], queue.jobs)
            oldest.add_metric([kind], queue.oldest_seconds)
            running.add_metric([kind], held.jobs[kind])
            finishing.add_metric([kind], held.finishing[kind])
        workers = GaugeMetricFamily("cinemo_workers", "Live workers of a queue.", labels=["queue"])
        live = self._workers.live()
        served = [name for worker in live for name in worker.queues]
        for name in WORKER_QUEUES:
            workers.add_metric([name], served.count(name))
        overdue = GaugeMetricFamily(
            "cinemo_webhooks_overdue_seconds",
            "How long the earliest due webhook has waited for a sender.",
            value=self._stats.webhooks_overdue_seconds(),
        )
        removals = GaugeMetricFamily(
            "cinemo_removals_overdue_seconds",
            "How long the ended job whose files are due first has waited for the sweeper.",
            value=self._stats.removals_overdue_seconds(),
        )
        signing = signing_metrics(signing_of(live))
        return iter((queued, oldest, running, finishing, workers, overdue, removals, *signing, *self._maintenance()))

    def _maintenance(self) -> Iterator[Metric]:
        reaped, memory = self._stats.reaper_round(), self._stats.memory()
        if reaped is not None:
            yield GaugeMetricFamily(
                "cinemo_reaper_round_timestamp_seconds", "When a reaper last finished a round.", value=reaped
            )
        if memory is not None:
            yield GaugeMetricFamily("cinemo_redis_memory_bytes", "Memory used by Redis.", value=memory.used)
            yield GaugeMetricFamily(
                "cinemo_redis_memory_limit_bytes", "Memory limit of Redis; 0 means no limit.", value=memory.limit
            )


def signing_metrics(signers: list[WorkerSigning]) -> Iterator[Metric]:
    """Yield how many workers can't sign the videos they should, and when the first certificate expires."""
    yield GaugeMetricFamily(
        "cinemo_workers_unable_to_sign",
        "Workers that should sign videos but can't.",
        value=sum(each.problem is not None for each in signers),
    )
    expiries = [each.expires_at.timestamp() for each in signers if each.expires_at]
    yield GaugeMetricFamily(
        "cinemo_signing_certificate_expires_seconds",
        "Seconds until the first signing certificate expires.",
        value=min(expiries, default=math.inf) - time.time(),
    )
