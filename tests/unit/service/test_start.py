"""The service starts without torch, and so within a second."""

import subprocess
import sys


def test_the_api_loads_no_heavy_libraries() -> None:
    heavy = {"torch", "diffusers", "transformers", "skimage", "worker"}
    code = f"import sys, service.api.app, uvicorn; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
