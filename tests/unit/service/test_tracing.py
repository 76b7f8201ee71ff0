"""A request's trace is its client's, or a new one."""

import pytest

from service.observability.tracing import continue_trace, current, span, trace_id

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"


@pytest.mark.parametrize("given", [PARENT, PARENT[:-2] + "00", f"cc{PARENT[2:]}-what-the-future-will-be-like"])
def test_a_clients_trace_is_continued(given: str) -> None:
    assert continue_trace(given) == given
    assert trace_id(given) == TRACE


@pytest.mark.parametrize(
    "given",
    [None, "", "ff" + PARENT[2:], PARENT.upper(), f"00-{'0' * 32}-b7ad6b7169203331-01", "00-1-2-3", PARENT + "x"],
)
def test_an_invalid_trace_is_replaced_by_a_new_one(given: str | None) -> None:
    first, second = continue_trace(given), continue_trace(given)
    assert trace_id(first)
    assert trace_id(first) != trace_id(second)


def test_without_recording_the_parent_is_propagated() -> None:
    with span("outer", PARENT, tenant="acme") as outer:
        outer.set_attributes(status=200)
        outer.rename("other")
        with span("inner") as inner:
            assert (outer.traceparent, inner.traceparent, current()) == (PARENT, PARENT, PARENT)
    assert current() is None
