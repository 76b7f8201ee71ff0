"""What Prometheus scrapes: correct across many processes, with few labels, and as documented."""

import fnmatch
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import redis
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from service.api.shared_metrics import SharedMetrics
from service.contract.failures import INTERNAL
from service.contract.record import Job, JobError, JobMetrics, new_job_id
from service.store.connections import connect
from service.store.counters import MAX_LABEL_SETS, Counters
from service.store.keys import LEASES, REMOVALS, WORKERS
from service.store.queue import JobQueue
from service.store.workers import Worker, WorkerRegistry
from tests.conftest import Api
from tests.integration.conftest import Service
from tests.jobs import OUTPUT, JobStore, new_job, new_training, retaken, taken
from tests.processes import wait_until
from worker.heartbeat import Heartbeat
from worker.reaper import Reaper

DOCUMENT = Path(__file__).parents[2] / "docs" / "operations.md"
BROKEN = INTERNAL.error("it broke")


class Scrape(dict[str, float]):
    """Samples by name and labels, as `name{label="value"}` with sorted labels; 0 if missing."""

    def __init__(self, text: str) -> None:
        self.names = set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
                self[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value

    def __missing__(self, name: str) -> float:
        return 0.0

    def grew(self, before: "Scrape", name: str) -> float:
        return self[name] - before[name]


def scrape(url: str) -> Scrape:
    answer = httpx.get(f"{url}/metrics")
    assert (answer.status_code, answer.headers["content-type"][:10]) == (200, "text/plain")
    return Scrape(answer.text)


def told_by(client: redis.Redis) -> Scrape:
    """The shared metrics that any API exposes."""
    registry = CollectorRegistry()
    registry.register(SharedMetrics(client))
    return Scrape(generate_latest(registry).decode())


def job() -> Job:
    return new_job(new_job_id())


@pytest.fixture
def jobs(redis_client: redis.Redis) -> JobStore:
    return JobStore(redis_client)


def test_a_job_is_counted_from_its_request_to_its_end(service: Service, photo: bytes) -> None:
    before = scrape(service.stack.url)
    service.wait_for(service.animate(photo, num_inference_steps=1)["id"])
    after = scrape(service.stack.url)
    for name in (
        'cinemo_http_request_seconds_count{method="POST",route="/animate",status="2xx"}',
        'cinemo_job_start_delay_seconds_count{kind="animate"}',
        'cinemo_job_run_seconds_count{kind="animate"}',
        'cinemo_jobs_ended_total{code="",kind="animate",status="succeeded"}',
    ):
        assert after.grew(before, name) == 1, name
    used = after.grew(before, 'cinemo_gpu_seconds_total{kind="animate"}')
    assert 0 < used < after.grew(before, 'cinemo_job_run_seconds_sum{kind="animate"}')
    assert after['cinemo_workers{queue="animate"}'] == 1
    assert (after["cinemo_redis_up"], after['cinemo_queue_jobs{kind="animate"}']) == (1, 0)


def test_a_worker_reports_which_job_it_runs(service: Service, photo: bytes) -> None:
    registry = WorkerRegistry(connect(service.stack.environment["CINEMO_REDIS_URL"]))

    def animator() -> Worker:
        (worker,) = (each for each in registry.live() if "animate" in each.queues)
        return worker

    job = service.animate(photo, num_inference_steps=200)
    wait_until(lambda: animator().jobs == (job["id"],), 60, "the job in the heartbeat")
    assert (animator().device, animator().model) == ("cpu", "tiny")
    service.http.post(f"/jobs/{job['id']}/cancel")
    wait_until(lambda: not animator().jobs, 60, "the idle heartbeat")


def test_documented_metrics_and_exposed_metrics_are_the_same(service: Service) -> None:
    # Told of once a reaper has made a round.
    wait_until(
        lambda: "cinemo_reaper_round_timestamp_seconds" in scrape(service.stack.url).names, 60, "a reaper's round"
    )
    names = scrape(service.stack.url).names
    documented = set(re.findall(r"^\| `([a-z_*]+)`(?:, `([a-z_*]+)`)? \|", DOCUMENT.read_text(), re.MULTILINE))
    patterns = {name for row in documented for name in row if name.startswith(("cinemo_", "process_", "python_"))}
    assert {name for name in names if not any(fnmatch.fnmatch(name, pattern) for pattern in patterns)} == set()
    assert {pattern for pattern in patterns if not fnmatch.filter(names, pattern)} == set()


def test_every_ended_job_counts_once_by_kind_and_status(jobs: JobStore, redis_client: redis.Redis) -> None:
    for _ in range(3):
        jobs.attempts.succeed(taken(jobs, job()), OUTPUT, JobMetrics(execution_ms=1500))
    failed = taken(jobs, new_training())
    jobs.attempts.fail(failed, BROKEN, JobMetrics(execution_ms=7_200_000))
    jobs.attempts.fail(failed, BROKEN, JobMetrics(execution_ms=1))
    waiting, running = job(), taken(jobs, job())
    jobs.submissions.create(waiting)
    for each in (waiting, running):
        jobs.cancel(each)
    jobs.attempts.succeed(running, OUTPUT, JobMetrics(execution_ms=1500))
    reported = told_by(redis_client)
    assert {name: value for name, value in reported.items() if name.startswith("cinemo_jobs_ended")} == {
        'cinemo_jobs_ended_total{code="",kind="animate",status="succeeded"}': 3,
        'cinemo_jobs_ended_total{code="INTERNAL.ERROR",kind="train",status="failed"}': 1,
        'cinemo_jobs_ended_total{code="",kind="animate",status="canceled"}': 2,
    }
    buckets = [
        reported[f'cinemo_job_run_seconds_bucket{{kind="animate",le="{bound}"}}'] for bound in ("1.0", "2.0", "+Inf")
    ]
    assert buckets == [0, 4, 4]
    assert reported['cinemo_job_run_seconds_sum{kind="animate"}'] == 6
    assert reported['cinemo_job_run_seconds_sum{kind="train"}'] == 7200


def test_each_lapsed_lease_counts_and_the_failed_job_once(jobs: JobStore, redis_client: redis.Redis) -> None:
    lost = new_job()
    jobs.submissions.create(lost)
    for _ in range(3):
        retaken(jobs, lost.id)
        redis_client.zadd(LEASES, {lost.id: 1})
        # As by two reapers, one of which is late.
        jobs.recovery.reap(lost.id)
        jobs.recovery.reap(lost.id)
    reported = told_by(redis_client)
    assert reported['cinemo_leases_lapsed_total{kind="animate"}'] == 3
    assert reported['cinemo_jobs_ended_total{code="WORKER.LOST",kind="animate",status="failed"}'] == 1


def test_queued_and_running_jobs_are_counted_by_kind(jobs: JobStore, redis_client: redis.Redis) -> None:
    hour_ago = datetime.now(UTC) - timedelta(hours=1)
    old = f"job_{int(hour_ago.timestamp() * 1000):012x}" + "0" * 20
    taken(jobs, new_training())
    jobs.attempts.leave_device(taken(jobs, job()))
    jobs.submissions.create(new_job().model_copy(update={"id": old, "tenant": "acme"}))
    jobs.submissions.create(job())
    reported = told_by(redis_client)
    assert [reported[f'cinemo_queue_jobs{{kind="{kind}"}}'] for kind in ("animate", "train")] == [2, 0]
    assert [reported[f'cinemo_running_jobs{{kind="{kind}"}}'] for kind in ("animate", "train")] == [1, 1]
    assert [reported[f'cinemo_finishing_jobs{{kind="{kind}"}}'] for kind in ("animate", "train")] == [1, 0]
    assert 3600 <= reported['cinemo_queue_oldest_seconds{kind="animate"}'] < 3700
    assert reported['cinemo_queue_oldest_seconds{kind="train"}'] == 0


def test_the_number_of_label_values_is_limited(jobs: JobStore, redis_client: redis.Redis, api: Api) -> None:
    for number in range(MAX_LABEL_SETS + 50):
        jobs.attempts.fail(taken(jobs, job()), JobError(code=f"CODE.{number}", message="", retryable=False))
    jobs.attempts.fail(taken(jobs, job()), JobError(code='a "sentence"|of a\nclient', message="", retryable=False))
    ended = [value for name, value in told_by(redis_client).items() if name.startswith("cinemo_jobs_ended")]
    assert len(ended) <= MAX_LABEL_SETS + 1
    assert sum(ended) == MAX_LABEL_SETS + 51
    before = scrape(api.url)
    for number in range(20):
        httpx.request(f"BREW{number}", f"{api.url}/nowhere/{number}")
        httpx.get(f"{api.url}/jobs/job_{number}")
    new = [
        name for name in scrape(api.url) if name.startswith("cinemo_http_request_seconds_count") and not before[name]
    ]
    assert set(new) <= {
        'cinemo_http_request_seconds_count{method="other",route="unmatched",status="4xx"}',
        'cinemo_http_request_seconds_count{method="other",route="refused",status="4xx"}',
        'cinemo_http_request_seconds_count{method="GET",route="/jobs/{job_id}",status="4xx"}',
        'cinemo_http_request_seconds_count{method="GET",route="/metrics",status="2xx"}',
    }


def test_the_reapers_last_round_and_the_memory_of_redis_are_metrics(jobs: JobStore, redis_client: redis.Redis) -> None:
    assert "cinemo_reaper_round_timestamp_seconds" not in told_by(redis_client)
    Reaper(jobs=jobs, name="w", interval_seconds=60, queue=JobQueue("redis://127.0.0.1:1/0")).round_if_elected()
    reported = told_by(redis_client)
    assert abs(reported["cinemo_reaper_round_timestamp_seconds"] - time.time()) < 60
    assert reported["cinemo_redis_memory_bytes"] > 0
    assert "cinemo_redis_memory_limit_bytes" in reported


def test_overdue_removals_of_files_are_a_metric(jobs: JobStore, redis_client: redis.Redis) -> None:
    assert told_by(redis_client)["cinemo_removals_overdue_seconds"] == 0
    now_ms = time.time() * 1000
    redis_client.zadd(REMOVALS, {"default:job_late": now_ms - 900_000, "default:job_later": now_ms + 900_000})
    assert 900 <= told_by(redis_client)["cinemo_removals_overdue_seconds"] < 960


def test_without_permission_for_info_all_other_metrics_are_exposed(jobs: JobStore, redis_client: redis.Redis) -> None:
    redis_client.acl_setuser("scraped", enabled=True, nopass=True, keys=["*"], commands=["+@all", "-info"])
    port = redis_client.connection_pool.connection_kwargs["port"]
    reported = told_by(connect(f"redis://scraped:@127.0.0.1:{port}/0"))
    redis_client.acl_deluser("scraped")
    assert reported["cinemo_redis_up"] == 1
    assert "cinemo_redis_memory_bytes" not in reported


def test_without_redis_a_metric_says_so() -> None:
    assert told_by(connect("redis://127.0.0.1:1/0")) == {"cinemo_redis_up": 0}
    Counters(connect("redis://127.0.0.1:1/0")).count({"what is not counted": 1})


def test_a_silent_worker_is_dropped_after_a_while_and_a_stopped_one_at_once(redis_client: redis.Redis) -> None:
    registry = WorkerRegistry(redis_client)
    silent = Worker(id="silent", queues=("train",), since=datetime.now(UTC))
    registry.beat(silent, 0.05)
    worker = Worker(id="w", queues=(), device="cpu", model="tiny", since=datetime.now(UTC))
    heartbeat = Heartbeat(registry, worker, interval_seconds=60)
    heartbeat.start("animate")
    wait_until(lambda: [each.id for each in registry.live()] == ["w"], 10)
    assert redis_client.smembers(WORKERS) == {b"w"}
    with heartbeat.busy("job_1"):
        with heartbeat.busy("job_2"):
            wait_until(lambda: registry.live()[0].jobs == ("job_1", "job_2"), 10)
        wait_until(lambda: registry.live()[0].jobs == ("job_1",), 10)
    wait_until(lambda: not registry.live()[0].jobs, 10)
    heartbeat.stop()
    assert registry.live() == []
