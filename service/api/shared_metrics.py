"""What all APIs tell Prometheus alike: how jobs stand and what was counted of them, as it is kept in Redis."""

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
    """Reads what all processes have counted, and how things stand, at each scrape."""

    def __init__(self, client: redis.Redis) -> None:
        self._counters, self._gauges, self._workers = Counters(client), QueueStats(client), WorkerRegistry(client)

    def collect(self) -> Iterable[Metric]:
        """Where Redis does not answer, that alone is told."""
        try:
            metrics = [*self._counted(), *self._standing()]
        except QueueUnavailable:
            metrics = []
        up = GaugeMetricFamily("cinemo_redis_up", "Whether Redis answers this API.", value=bool(metrics))
        return [up, *metrics]

    def _counted(self) -> Iterator[Metric]:
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

    def _standing(self) -> Iterator[Metric]:
        waiting = GaugeMetricFamily("cinemo_queue_jobs", "Jobs that wait.", labels=["kind"])
        oldest = GaugeMetricFamily(
            "cinemo_queue_oldest_seconds", "Longest wait of a job that is first in its tenant's queue.", labels=["kind"]
        )
        running = GaugeMetricFamily("cinemo_running_jobs", "Jobs that workers hold.", labels=["kind"])
        held = self._gauges.running()
        for kind in get_args(JobKind):
            stands = self._gauges.waiting(kind)
            waiting.add_metric([kind], stands.jobs)
            oldest.add_metric([kind], stands.oldest_seconds)
            running.add_metric([kind], held.get(kind, 0))
        workers = GaugeMetricFamily("cinemo_workers", "Workers that live and take jobs of a queue.", labels=["queue"])
        live = self._workers.live()
        queues = [queue for worker in live for queue in worker.queues]
        for queue in WORKER_QUEUES:
            workers.add_metric([queue], queues.count(queue))
        overdue = GaugeMetricFamily(
            "cinemo_webhooks_overdue_seconds",
            "For how long the webhook that is due first has waited for a sender.",
            value=self._gauges.webhooks_overdue_seconds(),
        )
        removals = GaugeMetricFamily(
            "cinemo_removals_overdue_seconds",
            "For how long the ended job whose files are due first to go has waited for the sweeper.",
            value=self._gauges.removals_overdue_seconds(),
        )
        signing = signing_metrics(signing_of(live))
        return iter((waiting, oldest, running, workers, overdue, removals, *signing, *self._looked_after()))

    def _looked_after(self) -> Iterator[Metric]:
        reaped, memory = self._gauges.reaper_round(), self._gauges.memory()
        if reaped is not None:
            yield GaugeMetricFamily(
                "cinemo_reaper_round_timestamp_seconds", "When a reaper last finished its round.", value=reaped
            )
        if memory is not None:
            yield GaugeMetricFamily("cinemo_redis_memory_bytes", "Memory that Redis uses.", value=memory.used)
            yield GaugeMetricFamily(
                "cinemo_redis_memory_limit_bytes", "Memory that Redis may use; 0 is no limit.", value=memory.limit
            )


def signing_metrics(signers: list[WorkerSigning]) -> Iterator[Metric]:
    """Of the workers that are to sign videos: how many can't, and when the first of their certificates expires."""
    yield GaugeMetricFamily(
        "cinemo_workers_unable_to_sign",
        "Workers that are to sign videos, and can't.",
        value=sum(each.problem is not None for each in signers),
    )
    expiries = [each.expires_at.timestamp() for each in signers if each.expires_at]
    yield GaugeMetricFamily(
        "cinemo_signing_certificate_expires_seconds",
        "Until the first certificate that videos are signed with expires.",
        value=min(expiries, default=math.inf) - time.time(),
    )
