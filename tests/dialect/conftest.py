"""One stack for all clients, which requires keys."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis

from deploy.local.stack import Stack, running_stack
from service.store.tenants import Scope, Tenant, TenantStore


@dataclass(frozen=True)
class Served:
    """A stack, and keys under the names that the clients' programs use."""

    stack: Stack
    keys: dict[str, str]


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Redis, API, sender of webhooks and a worker with the built-in model, over files."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("CINEMO_AUTH", "keys")
        with running_stack(tmp_path_factory.mktemp("stack")) as stack:
            yield stack


@pytest.fixture
def served(stack: Stack, request: pytest.FixtureRequest) -> Served:
    """The stack with tenants for one test."""
    tenants = TenantStore(redis.Redis(port=stack.redis_port))
    name = f"t{abs(hash(request.node.nodeid))}"
    tenants.put(Tenant(name=f"{name}-full", max_waiting=0))

    def key(tenant: str, scope: Scope) -> str:
        return tenants.create_key(tenant, frozenset([scope]))[1]

    keys = {
        "KEY": key(name, Scope.ANIMATE),
        "OTHER_KEY": key(f"{name}-other", Scope.ANIMATE),
        "TRAIN_KEY": key(name, Scope.TRAIN),
        "FULL_KEY": key(f"{name}-full", Scope.ANIMATE),
        "NO_KEY": "nobody",
        "TENANT": name,
    }
    return Served(stack, keys)


@pytest.fixture
def photo_path(photo: bytes, tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"
    path.write_bytes(photo)
    return path
