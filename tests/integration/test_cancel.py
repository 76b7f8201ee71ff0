"""A canceled job stops at its next step; others are not affected."""

from tests.integration.conftest import Service
from tests.processes import wait_until

MANY_STEPS = 200


def test_a_canceled_job_stops_at_its_next_step_and_others_continue(service: Service, photo: bytes) -> None:
    running = service.animate(photo, num_inference_steps=MANY_STEPS)["id"]
    waiting, last = (service.animate(photo)["id"] for _ in range(2))
    wait_until(lambda: bool(service.get(running)["progress"]), 60, "the first step")

    assert service.http.post(f"/jobs/{waiting}/cancel").json()["status"] == "canceled"
    steps = service.get(running)["progress"]["step"]
    wait_until(lambda: service.get(running)["progress"]["step"] > steps, 60, "a step after the neighbour was canceled")

    assert service.http.post(f"/jobs/{running}/cancel").json()["status"] == "canceling"
    assert service.wait_for(last)["status"] == "succeeded"
    stopped, skipped = service.get(running), service.get(waiting)
    assert (stopped["status"], stopped["output"]) == ("canceled", None)
    assert stopped["progress"]["step"] < MANY_STEPS
    kinds = [event.type for event in service.jobs.queries.events(running)]
    assert kinds[-2:] == ["job.canceling", "job.canceled"], "no step is reported after it was asked to stop"
    assert (skipped["attempt"], skipped["started_at"]) == (0, None)
    assert service.get(last)["attempt"] == 1
    assert service.storage.list(f"jobs/{running}/") == {}


def test_a_job_can_be_canceled_between_two_frames_while_they_get_their_detail(service: Service, photo: bytes) -> None:
    large = {"detail": "photo", "width": 1620, "height": 1080, "num_inference_steps": 1}
    job_id = service.animate(photo, **large)["id"]

    def progress_note() -> str:
        progress = service.get(job_id)["progress"]
        return progress["message"] if progress else ""

    wait_until(lambda: progress_note().startswith("detail of frame"), 120, "the first frames")
    assert service.http.post(f"/jobs/{job_id}/cancel").json()["status"] == "canceling"
    stopped = service.wait_for(job_id)
    assert (stopped["status"], stopped["output"]) == ("canceled", None)
    assert stopped["progress"]["fraction"] < 1
    assert service.storage.list(f"jobs/{job_id}/") == {}
