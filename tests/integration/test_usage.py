"""Tenants' usage: recorded at the end of each attempt, whoever ends it, and kept by day."""

import csv
import io
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any, cast

import httpx
import pytest
import redis

from cinemo_client import Client
from cinemo_spec.parameters import AdapterChoice
from service.contract.failures import INTERNAL
from service.contract.record import Job, JobMetrics, ModelOutput
from service.contract.states import JobStatus
from service.contract.usage import KEPT_DAYS, Period, Usage
from service.store.keys import LEASES, USED_DAYS, job_key
from service.store.scripts import FILES
from service.store.usage import Prices
from tests.clocks import now_ms
from tests.conftest import Api
from tests.integration.test_tenants import cinemo
from tests.jobs import LOST, OUTPUT, TIMINGS, JobStore, found, new_job, new_training, retaken, taken

LEASE_MS = round(TIMINGS.lease * 1000)
TRAINED = ModelOutput(model="waves@0123456789ab", first_loss=1, last_loss=0.5)


def begun(client: redis.Redis, store: JobStore, job: Job, milliseconds_ago: int, devices: int = 1) -> tuple[Job, int]:
    """A job that a worker dequeued so long ago, and when, in milliseconds on Redis' clock."""
    store.submissions.create(job)
    attempt = store.attempts.dequeue(job.kind, "worker", devices)
    assert attempt is not None
    moment = now_ms(client) - milliseconds_ago
    client.hset(job_key(job.id), "taken_ms", moment)
    return attempt, moment


def silent(client: redis.Redis, store: JobStore, job: Job, milliseconds: int, devices: int = 1) -> None:
    """The worker of a job has renewed its lease for so long, and then stopped."""
    attempt, moment = begun(client, store, job, LEASE_MS + milliseconds + 1, devices)
    client.zadd(LEASES, {attempt.id: moment + milliseconds + LEASE_MS})


def used(store: JobStore, tenant: str = "default") -> list[Usage]:
    today = store.usage.today()
    return list(store.usage.of(Period(today - timedelta(days=1), today, today), tenant))


def amounts(store: JobStore, tenant: str = "default") -> dict[str, int]:
    return dict(sum((each.amounts for each in used(store, tenant)), Counter()))


def test_an_attempts_usage_counts_from_its_start_to_its_end(store: JobStore, redis_client: redis.Redis) -> None:
    attempt, moment = begun(redis_client, store, new_job(), 5000)
    assert store.attempts.succeed(attempt, OUTPUT, JobMetrics()).happened
    device_ms = found(store, "job_1").device_ms
    ended = store.queries.events("job_1")[-1]
    assert 5000 <= device_ms <= now_ms(redis_client) - moment
    assert ended.data == {"device_ms": device_ms}
    expected = {"attempts": 1, "succeeded": 1, "device_ms": device_ms, "output_ms": 2000, "output_bytes": 3}
    assert amounts(store) == expected


def test_a_lost_attempts_usage_counts_until_its_last_renewal(store: JobStore, redis_client: redis.Redis) -> None:
    silent(redis_client, store, new_job(), 3000)
    assert store.recovery.reap("job_1")
    assert amounts(store) == {"attempts": 1, "device_ms": 3000}
    assert found(store, "job_1").device_ms == 3000
    assert store.queries.events("job_1")[-1].data == {"device_ms": 3000}


def test_an_attempt_counts_until_it_has_left_its_device(store: JobStore, redis_client: redis.Redis) -> None:
    attempt, moment = begun(redis_client, store, new_job(), 5000)
    assert store.attempts.leave_device(attempt) is JobStatus.RUNNING
    redis_client.hset(job_key(attempt.id), "left_ms", moment + 3000)
    assert store.attempts.leave_device(attempt) is JobStatus.RUNNING, "the first time counts"
    store.attempts.release(attempt)
    assert amounts(store) == {"attempts": 1, "device_ms": 3000}
    assert store.attempts.leave_device(attempt) is None, "it no longer holds the job"


def test_time_between_leaving_a_device_and_using_it_again_does_not_count(
    store: JobStore, redis_client: redis.Redis
) -> None:
    attempt, moment = begun(redis_client, store, new_job(), 9000)
    assert store.attempts.return_to_device(attempt) is JobStatus.RUNNING, "it had not left"
    store.attempts.leave_device(attempt)
    redis_client.hset(job_key(attempt.id), "left_ms", moment + 1000)
    before = now_ms(redis_client)
    for _ in range(2):
        assert store.attempts.return_to_device(attempt) is JobStatus.RUNNING
    store.attempts.release(attempt)
    assert 1000 <= amounts(store)["device_ms"] <= 1000 + now_ms(redis_client) - before
    assert store.attempts.return_to_device(attempt) is None, "it no longer holds the job"


def test_the_next_attempt_at_a_job_that_had_left_its_device_counts_in_full(
    store: JobStore, redis_client: redis.Redis
) -> None:
    attempt, moment = begun(redis_client, store, new_job(), 5000)
    store.attempts.leave_device(attempt)
    redis_client.hset(job_key(attempt.id), "left_ms", moment)
    store.attempts.release(attempt)
    again = retaken(store, attempt.id)
    redis_client.hincrby(job_key(attempt.id), "taken_ms", -4000)
    store.attempts.release(again)
    assert amounts(store)["device_ms"] >= 4000


def test_an_attempts_usage_counts_for_each_of_its_devices(store: JobStore, redis_client: redis.Redis) -> None:
    silent(redis_client, store, new_training(), 7, devices=4)
    assert store.recovery.reap("job_t")
    assert amounts(store) == {"attempts": 1, "device_ms": 28}


def test_usage_adds_up_over_all_attempts_at_a_job(store: JobStore, redis_client: redis.Redis) -> None:
    silent(redis_client, store, new_job(), 1000)
    assert store.recovery.reap("job_1")
    store.attempts.release(retaken(store, "job_1"))
    store.attempts.lose(retaken(store, "job_1"), LOST)
    store.attempts.fail(retaken(store, "job_1"), INTERNAL.error(""), JobMetrics())
    each = [cast(int, event.data.get("device_ms", 0)) for event in store.queries.events("job_1")]
    assert found(store, "job_1").device_ms == sum(each) >= 1000
    assert amounts(store) == {"attempts": 4, "failed": 1, "device_ms": sum(each)}


def test_a_write_of_an_attempt_that_lost_its_lease_adds_no_usage(store: JobStore, redis_client: redis.Redis) -> None:
    attempt, _ = begun(redis_client, store, new_job(), 10)
    store.attempts.succeed(attempt, OUTPUT, JobMetrics())
    before = amounts(store)
    assert not store.attempts.succeed(attempt, OUTPUT, JobMetrics()).happened
    assert not store.attempts.release(attempt).happened
    assert amounts(store) == before


@pytest.mark.parametrize("running", [False, True])
def test_a_canceled_jobs_usage_has_device_time_but_no_output(
    store: JobStore, redis_client: redis.Redis, running: bool
) -> None:
    if running:
        attempt, _ = begun(redis_client, store, new_job(), 50)
        store.cancel(attempt)
        store.attempts.succeed(attempt, OUTPUT, JobMetrics())
    else:
        store.submissions.create(new_job())
        store.cancel(found(store, "job_1"))
    reported = amounts(store)
    assert reported.pop("canceled") == 1
    assert reported.keys() == ({"attempts", "device_ms"} if running else set())


def test_usage_is_split_by_tenant_kind_and_model(store: JobStore, redis_client: redis.Redis) -> None:
    for job in (new_job("job_1"), new_training("job_2"), new_job("job_3").model_copy(update={"tenant": "acme"})):
        attempt, _ = begun(redis_client, store, job, 1)
        store.attempts.succeed(attempt, TRAINED if job.kind == "train" else OUTPUT, JobMetrics())
    assert [(each.kind, each.model) for each in used(store)] == [("animate", "tiny"), ("train", "waves@0123456789ab")]
    assert [(each.tenant, each.kind) for each in used(store, "acme")] == [("acme", "animate")]
    assert store.usage.tenants(store.usage.today()) == ["acme", "default"]


def test_usage_names_the_adapters_of_a_job_whatever_their_order_and_weights(
    store: JobStore, redis_client: redis.Redis
) -> None:
    for number, written in enumerate((["wind", "waves=0.5"], ["waves=-1", "wind", "wind=2"], [])):
        adapters = tuple(AdapterChoice.model_validate(each) for each in written)
        job = new_job(f"job_{number}")
        job = job.model_copy(update={"request": job.request.model_copy(update={"adapters": adapters})})
        silent(redis_client, store, job, 7)
        assert store.recovery.reap(job.id)
        store.cancel(found(store, job.id))
    assert [(each.model, each.amounts["attempts"]) for each in used(store)] == [("tiny", 1), ("tiny + waves + wind", 2)]


def test_an_attempt_costs_the_price_in_force_when_it_ends(redis_client: redis.Redis) -> None:
    def cost_of(job_id: str, prices: dict[str, float], **request: Any) -> int:
        before = amounts(JobStore(redis_client)).get("cost_micros", 0)
        store = JobStore(redis_client, prices=Prices(prices))
        job = new_job(job_id)
        job = job.model_copy(update={"request": job.request.model_copy(update=request)})
        silent(redis_client, store, job, 2500)
        store.recovery.reap(job_id)
        store.cancel(found(store, job_id))
        return amounts(store).get("cost_micros", 0) - before

    assert cost_of("job_1", {"animate": 0.0004}) == 1000
    assert cost_of("job_2", {"train": 1}) == 0
    assert cost_of("job_3", {"animate": 1, "waves": 0.5}, model="waves@0123456789ab") == 1_250_000
    assert cost_of("job_4", {"animate": 0.0000001}) == 0
    # An adapter costs the same, whether it is the model or applied to one; none makes a job cheaper.
    waves = {"adapters": (AdapterChoice(model="waves@0123456789ab", weight=0.1),)}
    assert cost_of("job_5", {"animate": 0.1, "waves": 0.5}, **waves) == 1_250_000
    assert cost_of("job_6", {"animate": 0.5, "waves": 0.1}, **waves) == 1_250_000
    assert cost_of("job_7", {"waves": 0.5}, **waves) == 1_250_000


def test_a_report_is_grouped_as_requested_and_its_sums_agree(api: Api) -> None:
    store = JobStore(api.redis)
    for job in (new_job("job_1"), new_job("job_2"), new_training("job_3")):
        silent(api.redis, store, job, 1500)
    for job_id in ("job_1", "job_2", "job_3"):
        store.recovery.reap(job_id)
    store.attempts.succeed(retaken(store, "job_1"), OUTPUT, JobMetrics())

    def rows(*by: str) -> list[tuple[Any, ...]]:
        told = httpx.get(f"{api.url}/usage", params={"by": by}).raise_for_status().json()
        assert told["total"]["attempts"] == sum(row["attempts"] for row in told["rows"]) == 4
        assert (told["currency"], told["total"]["cost"]) == (None, None)
        return [(*(row[name] for name in by), row["attempts"], row["succeeded"]) for row in told["rows"]]

    today = str(store.usage.today())
    assert rows("day") == [(today, 4, 1)]
    assert rows("kind") == [("animate", 3, 1), ("train", 1, 0)]
    assert rows("model", "kind") == [("tiny", "animate", 3, 1), ("waves@0123456789ab", "train", 1, 0)]
    assert rows("tenant") == [("default", 4, 1)]
    assert httpx.get(f"{api.url}/usage").json()["total"]["device_seconds"] >= 4.5


def test_a_csv_report_has_the_requested_columns(api: Api) -> None:
    store = JobStore(api.redis)
    silent(api.redis, store, new_job(), 1500)
    store.recovery.reap("job_1")
    answer = httpx.get(f"{api.url}/usage", params={"by": ["model", "day"]}, headers={"Accept": "text/csv"})
    assert answer.headers["content-type"].startswith("text/csv")
    assert list(csv.DictReader(io.StringIO(answer.text))) == [
        {
            "day": str(store.usage.today()),
            "model": "tiny",
            **dict.fromkeys(("succeeded", "failed", "canceled", "expired", "output_bytes"), "0"),
            "attempts": "1",
            "device_seconds": "1.5",
            "output_seconds": "0.0",
            "cost": "",
            "currency": "",
        }
    ]


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ({"from": "2026-11-02", "to": "2026-11-01"}, "#/from"),
        ({"from": "yesterday"}, "#/from"),
        ({"to": "0"}, "#/to"),
        ({"by": "prompt"}, "#/by/0"),
    ],
)
def test_an_invalid_period_or_grouping_is_rejected(api: Api, query: dict[str, str], pointer: str) -> None:
    answer = httpx.get(f"{api.url}/usage", params=query)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)


def test_days_outside_the_retention_have_no_usage(api: Api) -> None:
    for query in ({"from": "1970-01-01", "to": "1999-12-31"}, {"from": "9000-01-01"}, {"to": "1970-01-01"}):
        query.setdefault("to", "9999-12-31")
        told = httpx.get(f"{api.url}/usage", params=query).raise_for_status().json()
        assert (told["rows"], told["last_day"]) == ([], query["to"])


def test_the_client_and_the_command_line_report_the_same_usage(api: Api, redis_port: int) -> None:
    store = JobStore(api.redis)
    silent(api.redis, store, new_job(), 1500)
    store.recovery.reap("job_1")
    today = store.usage.today()
    with Client(api.url) as client:
        (row,) = client.usage(today, today, by=("kind", "model")).rows
    assert (row.kind, row.model, row.device_seconds, row.cost) == ("animate", "tiny", 1.5, None)
    done = cinemo(redis_port, "usage", "--from", str(today), "--to", str(today), "--by", "kind", "--by", "model")
    assert done.stdout.splitlines()[1] == "animate,tiny,0,0,0,0,1,1.5,0.0,0,,"
    refused = cinemo(redis_port, "usage", "--from", "2026-11-02", "--to", "2026-11-01")
    assert (refused.returncode, refused.stderr.partition(":")[0]) == (1, "error")


def test_usage_is_kept_for_a_year(store: JobStore, redis_client: redis.Redis) -> None:
    store.attempts.release(taken(store, new_job()))
    (day,) = cast(list[bytes], redis_client.keys(USED_DAYS + "*"))
    assert redis_client.ttl(day) == KEPT_DAYS * 86_400
    assert day.decode().startswith(f"{USED_DAYS}default:20")


def test_a_tenants_day_takes_little_memory_in_redis(store: JobStore, redis_client: redis.Redis) -> None:
    silent(redis_client, store, new_job(), 1000)
    store.recovery.reap("job_1")
    store.attempts.succeed(retaken(store, "job_1"), OUTPUT, JobMetrics())
    (day,) = cast(list[bytes], redis_client.keys(USED_DAYS + "*"))
    assert cast(int, redis_client.memory_usage(day)) <= 400


def test_dates_in_lua_are_those_of_the_calendar(redis_client: redis.Redis) -> None:
    epoch, days = date(1970, 1, 1), [0, 58, 59, 60, 365, 11_016, 11_017, 19_781, 19_782, 47_540, 47_541, 47_542]
    days += range(20_000, 24_000, 17)
    loop = "local found = {} for i, ms in ipairs(ARGV) do found[i] = date_of(ms) end return found"
    script = FILES["calendar"].body + loop
    reported: Any = redis_client.eval(script, 0, *(str(day * 86_400_000 + 86_399_999) for day in days))
    assert [each.decode() for each in reported] == [str(epoch + timedelta(days=day)) for day in days]
    now = datetime.now(UTC)
    assert redis_client.eval(script, 0, str(int(now.timestamp() * 1000))) == [str(now.date()).encode()]
