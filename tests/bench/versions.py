"""Compares the cost of requests in two checkouts, in one run: `python -m tests.bench.versions OTHER`.

The other checkout needs no environment: it runs with this one's packages.
"""

import os
from pathlib import Path
from typing import Annotated

import typer

from tests.bench.load import get_request
from tests.bench.service import CONNECTIONS, GETS, POSTS, RUNS, in_turns, make_photo, new_job, row
from tests.bench.testbed import open_testbed

ROOT = Path(__file__).parents[2]


def variables_of(checkout: Path) -> dict[str, str]:
    """Make Python prefer the checkout's modules to the environment's packages and the working directory."""
    path = os.pathsep.join([str(checkout), str(checkout / "clients" / "python" / "src")])
    return {"PYTHONPATH": path, "PYTHONSAFEPATH": "1"}


def compare(other: Annotated[Path, typer.Argument(help="A checkout of another version.", file_okay=False)]) -> None:
    """Print both versions' requests per second, latency and CPU per request, relative to the other checkout's."""
    photo = make_photo()
    print(f"medians of {RUNS} runs in turns, {CONNECTIONS} connections\n")
    print("| | requests per second | relative to other | p50, ms | p99, ms | relative to other | CPU per request, ms |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    with (
        open_testbed() as testbed,
        testbed.service(0, variables=variables_of(other.resolve())) as old,
        testbed.service(1, variables=variables_of(ROOT)) as new,
    ):
        posts = [(server, server.post(photo)) for server in (old, new)]
        gets = [(server, get_request(f"/jobs/{new_job(server, photo)}", server.token)) for server in (old, new)]
        for name, requests, count in (("POST", posts, POSTS), ("GET", gets, GETS)):
            base, own = in_turns(requests, CONNECTIONS, count)
            print(row(f"{name}, other", base, base))
            print(row(f"{name}, this", own, base))


if __name__ == "__main__":
    typer.run(compare)
