"""What tests ask of the system that they run on; where it has none of it, they are skipped and say why."""

import socket
import sys

import pytest

from tests.chart.helm import HelmFailed, helm


def need_linux(does: str) -> None:
    """Skip the test, or the module, where the system is another one; what only Linux `does` is the reason."""
    if sys.platform != "linux":
        pytest.skip(f"only Linux {does}", allow_module_level=True)


def need_helm() -> None:
    """Skip the module where there is no Helm."""
    try:
        helm()
    except HelmFailed as missing:
        pytest.skip(str(missing), allow_module_level=True)


def need_address(host: str) -> None:
    """Skip the test where the loopback interface has not got this address, as on a Mac it has 127.0.0.1 alone."""
    try:
        socket.create_server((host, 0)).close()
    except OSError:
        pytest.skip(f"this machine has no {host}; on a Mac: sudo ifconfig lo0 alias {host}")
