"""A webhook sender whose clock runs fast, so that hours of its schedule pass in seconds.

But for that `python -m tests.faults.sender` is `python -m worker --queue webhooks`.
"""

import json
import os
import time

import redis

import worker.deliver
from service.contract.settings import Settings
from service.webhooks.outbox import Outbox
from tests.faults.orders import CLOCK


def open_outbox(client: redis.Redis) -> Outbox:
    """The outbox, with a clock that all senders of a case share."""
    began, speed = json.loads(os.environ[CLOCK])
    return Outbox(client, lambda: began + (time.time() - began) * speed)


if __name__ == "__main__":
    vars(worker.deliver)["Outbox"] = open_outbox
    worker.deliver.main(Settings())
