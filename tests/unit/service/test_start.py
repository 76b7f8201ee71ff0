"""The service starts quickly and brings no torch."""

import subprocess
import sys
import time


def test_the_front_starts_in_under_two_seconds_and_holds_no_torch() -> None:
    heavy = {"torch", "diffusers", "transformers", "skimage", "worker"}
    code = f"import sys, service.app, uvicorn; print(sorted({heavy} & set(sys.modules)))"
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        seconds.append(time.perf_counter() - started)
        assert done.stdout.strip() == "[]"
    assert min(seconds) < 2
