"""A signal stops the stack, whatever code it interrupts."""

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.stack import Interrupted, Stack, interrupt_on_signals


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    stack = Stack(tmp_path, 0, 0, {})
    yield stack
    stack.stop()


class Finalized:
    """Receives a signal while it is deleted."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGTERM)


def test_a_signal_during_a_finalizer_interrupts_at_the_next_check(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    ignored = []
    monkeypatch.setattr(sys, "unraisablehook", lambda error: ignored.append(error.exc_value))
    with interrupt_on_signals() as stack.signals:
        stack.check()
        Finalized()
        with pytest.raises(Interrupted, match="SIGTERM"):
            stack.check()
    assert [type(each) for each in ignored] == [Interrupted], "Python let no exception out of the finalizer"


def test_a_broad_handler_does_not_keep_a_signal_from_stopping_the_stack() -> None:
    with pytest.raises(Interrupted):
        call_as_a_library_does()


def call_as_a_library_does() -> None:
    with interrupt_on_signals():
        try:
            signal.raise_signal(signal.SIGTERM)
        except Exception:
            pytest.fail("caught")
