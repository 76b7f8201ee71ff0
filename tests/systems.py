"""Skips tests on machines that lack what they need, with the reason."""

import socket
import sys

import pytest

from tests.chart.helm import HelmFailed, helm


def need_linux(does: str) -> None:
    """Skip the test or module on another system; the reason is what only Linux `does`."""
    if sys.platform != "linux":
        pytest.skip(f"only Linux {does}", allow_module_level=True)


def need_helm() -> None:
    """Skip the module if there is no Helm."""
    try:
        helm()
    except HelmFailed as missing:
        pytest.skip(str(missing), allow_module_level=True)


def need_address(host: str) -> None:
    """Skip the test if the loopback interface lacks an address: on macOS it has 127.0.0.1 only."""
    try:
        socket.create_server((host, 0)).close()
    except OSError:
        pytest.skip(f"this machine has no {host}; on a Mac: sudo ifconfig lo0 alias {host}")
