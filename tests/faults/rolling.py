"""Restarts all processes in turn, as an upgrade does, while clients keep sending requests."""

import random
import threading
from collections import Counter
from dataclasses import dataclass, field

import httpx

from tests.faults.case import Case, Run
from tests.faults.clients import PHOTO, Accepted
from tests.faults.orders import Orders
from tests.faults.parts import ManagedProcess
from tests.faults.promises import all_end
from tests.faults.rig import Rig
from tests.processes import wait_until

CLIENTS = 4


@dataclass
class Balancer:
    """The APIs that get requests: like a load balancer, it removes one before it is stopped."""

    urls: list[str]

    def pick(self) -> str:
        return random.choice(self.urls)


@dataclass
class Crowd:
    """Clients that post and poll continuously; every response counts, and none is retried."""

    balancer: Balancer
    accepted: Accepted = field(default_factory=Accepted)
    answers: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def start(self) -> None:
        self._threads = [threading.Thread(target=self._ask, args=(client,)) for client in range(CLIENTS)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self.accepted.stopped.set()
        for thread in self._threads:
            thread.join()

    def wait_until_served(self) -> None:
        """Wait until each client has had another job accepted."""
        with self.accepted.lock:
            before = set(self.accepted.ids)

        def served() -> bool:
            with self.accepted.lock:
                since = self.accepted.ids.keys() - before
            return {number % CLIENTS for number in since} == set(range(CLIENTS))

        wait_until(served, 60, "each client having another job accepted")

    def _ask(self, client: int) -> None:
        number = client
        while not self.accepted.stopped.is_set():
            data = {"prompt": Orders(number=number, seconds=0.1).model_dump_json(), "num_inference_steps": 1}
            posted = self._request("POST", "/animate", data=data, files={"image": PHOTO})
            if posted is not None and posted.status_code == 202:
                with self.accepted.lock:
                    self.accepted.ids[number] = posted.json()["id"]
                self._request("GET", f"/jobs/{posted.json()['id']}", params={"wait": 2})
            number += CLIENTS

    def _request(self, method: str, path: str, **options: object) -> httpx.Response | None:
        url = self.balancer.pick()
        try:
            answer = httpx.request(method, url + path, timeout=60, **options)  # type: ignore[arg-type]
        except httpx.ConnectError:
            # It went between the choice and the call: nothing was sent, so the balancer turns to another one.
            self._note("passed on", "")
            return self._request(method, path, **options)
        except httpx.TransportError as error:
            self._note("no answer", f"{method} {path} at {url}: {error!r}")
            return None
        right = answer.status_code in (200, 202) or (answer.status_code == 503 and answer.json()["retryable"])
        self._note(str(answer.status_code), "" if right else f"{method} {path}: {answer.status_code} {answer.text}")
        return answer

    def _note(self, answer: str, wrong: str) -> None:
        with self.accepted.lock:
            self.answers[answer] += 1
            if wrong:
                self.wrong.append(wrong)


def rolling_restart(run: Run) -> str:
    """Two APIs, three workers, a sender and Redis, restarted one after another, twice."""
    with run.rig() as rig:
        rig.start_api()
        rig.start_api()
        rig.start_workers(3)
        sender = rig.start_sender()
        crowd = Crowd(Balancer(list(rig.urls)))
        crowd.start()
        try:
            for _ in range(2):
                for api, url, port in zip(rig.apis, rig.urls, rig.api_ports, strict=True):
                    crowd.balancer.urls = [each for each in rig.urls if each != url]
                    api.stop()
                    api.start()
                    rig.wait_for_api(port)
                    crowd.balancer.urls = list(rig.urls)
                for part in (*rig.workers, sender):
                    restart(part)
                restart_redis(rig)
                crowd.wait_until_served()
        finally:
            crowd.stop()
        assert not crowd.wrong, f"{len(crowd.wrong)} requests failed: {crowd.wrong[:3]}"
        # A post that was answered 503 may have made a job of which nobody knows; a client's key would have told it.
        kept = all_end(rig, crowd.accepted, 120, strangers=True)
        assert kept.outcomes == Counter(succeeded=len(crowd.accepted.ids)), kept.outcomes
        summary = ", ".join(f"{count} x {answer}" for answer, count in sorted(crowd.answers.items()))
        return f"answers: {summary}; {kept}"


def restart(part: ManagedProcess) -> None:
    part.stop()
    part.start()
    part.kept = True


def restart_redis(rig: Rig) -> None:
    assert rig.redis_process
    rig.redis_process.terminate()
    rig.redis_process.wait()
    rig.start_redis()


CASES = (Case("rolling", "every process restarted in turn, twice, under load", rolling_restart),)
