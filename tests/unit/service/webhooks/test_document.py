"""The receiver that docs/webhooks.md shows verifies what we send."""

import re
import time
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient

from service.webhooks.sign import new_secret, sign

DOCUMENT = Path(__file__).parents[4] / "docs" / "webhooks.md"
BODY = b'{"type": "job.succeeded", "data": {"id": "job_1"}}'


def test_the_receiver_in_python_takes_what_is_signed_and_nothing_else() -> None:
    secret, taken = new_secret(), list[Any]()
    [code] = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    place: dict[str, Any] = {"enqueue": lambda *told: taken.append(told)}
    exec(code.replace("whsec_…", secret), place)
    client = TestClient(place["app"])
    headers = sign([secret], "msg_1", int(time.time()), BODY)
    assert client.post("/hook", content=BODY, headers=headers).status_code == 204
    assert client.post("/hook", content=BODY + b" ", headers=headers).status_code == 400
    assert [(told[0], told[1]["data"]) for told in taken] == [("msg_1", {"id": "job_1"})]
