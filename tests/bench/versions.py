"""What a request costs the API in this checkout and in another one, in one run: `python -m tests.bench.versions OTHER`.

The other checkout needs no environment of its own: it runs by this one's packages.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from deploy.local.redis import free_port
from service.store.connections import connect
from service.store.tenants import Scope, TenantStore
from tests.bench.load import get_request
from tests.bench.service import CONNECTIONS, GETS, POSTS, RUNS, Front, House, housed, in_turns, make_photo, new_job, row
from tests.bench.service import serve_ours as serve
from tests.processes import answers, running

ROOT = Path(__file__).parents[2]


@contextmanager
def front_of(checkout: Path, house: House, database: int) -> Iterator[Front]:
    """The API of a checkout, with API keys as in production and no worker."""
    port, client = free_port(), connect(house.redis_url(database))
    # The other version may not know all scopes.
    _, token = TenantStore(client).create_key("default", frozenset({Scope.ANIMATE}))
    # Before the packages of the environment, and instead of the working directory.
    path = os.pathsep.join([str(checkout), str(checkout / "clients" / "python" / "src")])
    environment = {**house.environment(database, port), "PYTHONPATH": path, "PYTHONSAFEPATH": "1"}
    log = house.folder / f"version-{database}.log"
    command = [*house.pin, *serve(str(port))]
    with running(command, log, lambda: answers(f"http://127.0.0.1:{port}/healthz"), environment) as process:
        yield Front(port, process.pid, client, token)


def compare(other: Annotated[Path, typer.Argument(help="A checkout of another version.", file_okay=False)]) -> None:
    """Print requests a second, latency and CPU per request of both; this one's relative to the other's."""
    photo = make_photo()
    print(f"medians of {RUNS} runs in turns, {CONNECTIONS} connections\n")
    print("| | requests per second | relative to other | p50, ms | p99, ms | relative to other | CPU per request, ms |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    with housed() as house, front_of(other.resolve(), house, 0) as old, front_of(ROOT, house, 1) as new:
        posts = [(front, front.post(photo)) for front in (old, new)]
        gets = [(front, get_request(f"/jobs/{new_job(front, photo)}", front.token)) for front in (old, new)]
        for name, requests, count in (("POST", posts, POSTS), ("GET", gets, GETS)):
            base, own = in_turns(requests, CONNECTIONS, count)
            print(row(f"{name}, other", base, base))
            print(row(f"{name}, this", own, base))


if __name__ == "__main__":
    typer.run(compare)
