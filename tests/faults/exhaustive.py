"""All interleavings of one or two jobs and two workers, breadth first, with the real scripts.

A state of Redis that was met before is not gone into again; times count only as lapsed or not.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from service.contract.record import Job
from service.contract.states import ENDED, JobStatus
from service.store.keys import CALL, COUNTERS, DEADLINES, EVENTS, LEASES, REMOVALS, USED, WAKEUPS, WEBHOOKS
from tests.faults.machine import HELD, Expected, World, all_keys

Action = tuple[str, ...]
BY_TIME = tuple(key.encode() for key in (LEASES, WAKEUPS, DEADLINES, REMOVALS))
MOMENTS = {b"taken_at", b"taken_ms", b"started_at", b"finished_at", b"expires_at", b"queued_ms"}
OF_NO_CONSEQUENCE = {*MOMENTS, b"device_ms", b"worker"}


@dataclass(frozen=True)
class Snapshot:
    """Redis, the model beside it, and the attempts that the two workers are running."""

    keys: dict[bytes, tuple[bytes, int]]
    expected: dict[str, Expected]
    busy: tuple[Job | None, ...]
    depth: int


@dataclass(frozen=True)
class Explored:
    """How far it went: `complete` if no state is left unexplored."""

    states: int
    steps: int
    complete: bool


def explore(
    client: Any, jobs: int, max_attempts: int, max_depth: int, max_losses: int = 2, deadlines: bool = False
) -> Explored:
    """Visit every state within `max_depth` actions; raises `AssertionError` if a guarantee is broken."""
    world = World(client, max_losses)
    world.begin()
    for _ in range(jobs):
        world.create()
    world.check()
    start = Snapshot(save(client), dict(world.expected), (None, None), 0)
    seen, waiting, steps, complete = {fingerprint(world, start.busy)}, deque([start]), 0, True
    while waiting:
        before = waiting.popleft()
        for action in list(actions(before, max_attempts, deadlines)):
            if before.depth == max_depth:
                complete = False
                break
            load(client, before.keys)
            world.expected, world.attempts = dict(before.expected), []
            busy = act(world, before.busy, action)
            steps += 1
            mark = fingerprint(world, busy)
            if mark not in seen:
                world.check()
                seen.add(mark)
                waiting.append(Snapshot(save(client), dict(world.expected), busy, before.depth + 1))
    return Explored(len(seen), steps, complete)


def actions(state: Snapshot, max_attempts: int, deadlines: bool) -> Iterator[Action]:
    """All possible next actions. A worker that dies forgets its attempt; a frozen one pauses."""
    may_take = all(each.attempt < max_attempts for each in state.expected.values() if each.status not in ENDED)
    for worker, attempt in enumerate(state.busy):
        if attempt is None and may_take:
            yield ("take", str(worker))
        elif attempt is not None:
            for what in ("progress", "succeed", "fail", "release", "lose", "renew", "die"):
                yield (what, str(worker))
    for job_id, known in state.expected.items():
        yield ("cancel", job_id)
        if known.status in HELD and not known.lapsed:
            yield ("lapse", job_id)
        if deadlines and not known.overdue and known.status in (JobStatus.QUEUED, JobStatus.RUNNING):
            yield ("miss_deadline", job_id)
        yield ("reap", job_id)
    if deadlines:
        yield ("expire_all",)
    yield ("remind",)


def act(world: World, busy: tuple[Job | None, ...], action: Action) -> tuple[Job | None, ...]:
    """Carry out an action; returns the workers' attempts after it."""
    match action:
        case ("take", worker):
            return with_attempt(busy, worker, world.take(worker))
        case ("die", worker):
            return with_attempt(busy, worker, None)
        case ("renew", worker):
            world.renew(held_by(busy, worker))
        case ("progress" | "succeed" | "fail" | "release" | "lose" as what, worker):
            world.write(held_by(busy, worker), what)
            # A worker goes on after a report even where it was refused, as one does that has not looked yet.
            return busy if what == "progress" else with_attempt(busy, worker, None)
        case (what, *job_ids):
            getattr(world, what)(*job_ids)
    return busy


def held_by(busy: tuple[Job | None, ...], worker: str) -> Job:
    attempt = busy[int(worker)]
    assert attempt is not None
    return attempt


def with_attempt(busy: tuple[Job | None, ...], worker: str, attempt: Job | None) -> tuple[Job | None, ...]:
    return tuple(attempt if number == int(worker) else each for number, each in enumerate(busy))


def save(client: Any) -> dict[bytes, tuple[bytes, int]]:
    """Every key with its remaining lifetime."""
    names = all_keys(client)
    with client.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.dump(name).pttl(name)
        found = pipe.execute()
    return {name: (found[2 * place], max(0, found[2 * place + 1])) for place, name in enumerate(names)}


def load(client: Any, keys: dict[bytes, tuple[bytes, int]]) -> None:
    with client.pipeline(transaction=False) as pipe:
        pipe.flushall()
        for name, (value, left_ms) in keys.items():
            pipe.restore(name, left_ms, value)
        pipe.execute()


def fingerprint(world: World, busy: tuple[Job | None, ...]) -> Any:
    """What of Redis and of the model makes a difference; the two workers are alike, whichever is which.

    How a job came to where it is makes none, so its events, webhooks, counts, usage and calls are left out.
    """
    reported = (EVENTS.encode(), WEBHOOKS.encode(), COUNTERS.encode(), CALL.encode(), USED.encode())
    names = sorted(name for name in all_keys(world.client) if not name.startswith(reported))
    with world.client.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.type(name)
        types = pipe.execute()
        for name, kind in zip(names, types, strict=True):
            read(pipe, name, kind)
        values = pipe.execute()
    stored = tuple(distil(name, value) for name, value in zip(names, values, strict=True))
    model = tuple(
        (each.status, each.attempt, each.losses, each.lapsed, each.overdue) for each in world.expected.values()
    )
    return stored, model, tuple(sorted((attempt.id, attempt.attempt) for attempt in busy if attempt))


def read(pipe: Any, name: bytes, kind: bytes) -> None:
    match kind:
        case b"hash":
            pipe.hgetall(name)
        case b"zset":
            pipe.zrange(name, 0, -1, withscores=True)
        case b"set":
            pipe.smembers(name)
        case _:
            pipe.get(name)


def distil(name: bytes, value: Any) -> Any:
    """A value without timestamps."""
    if isinstance(value, dict):
        return name, frozenset((field, each) for field, each in value.items() if field not in OF_NO_CONSEQUENCE)
    if name in BY_TIME:
        return name, frozenset((member, score == 1) for member, score in value)
    return name, frozenset(value) if isinstance(value, set) else repr(value)
