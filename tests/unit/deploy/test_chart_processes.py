"""The chart starts the service's processes correctly: commands, settings, probes, users, grace periods."""

import json
from pathlib import Path
from typing import get_args

import pytest
import yaml
from pydantic import SecretStr

from cinemo_core import CheckpointError
from deploy.lock import ROOT
from service.api.shared_metrics import WORKER_QUEUES
from service.contract.settings import Settings
from service.store.queue import QUEUES, SENDERS
from service.webhooks.send import TIMEOUT_SECONDS
from tests.chart.helm import EXAMPLES, render
from tests.chart.manifests import Pod, of_kind, pods
from tests.systems import need_helm
from worker import watchdog

need_helm()

SETTINGS = {f"CINEMO_{name.upper()}": field for name, field in Settings.model_fields.items()}
OF_LIBRARIES = ("OTEL_", "HF_HOME", "HF_HUB_OFFLINE", "CINEMO_SECRETS_FOLDER")
"""Variables that others than the service's settings read."""
ALL = [(example, pod) for example in EXAMPLES for pod in pods(render(example))]
LASTING = [(example, pod) for example, pod in ALL if pod.workload["kind"] == "Deployment"]


def of_each(cases: list[tuple[Path, Pod]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("pod", [pytest.param(pod, id=f"{path.stem}-{pod.name}") for path, pod in cases])


@of_each(ALL)
def test_every_variable_is_read_by_some_process(pod: Pod) -> None:
    unknown = pod.environment.keys() - SETTINGS.keys()
    assert not {name for name in unknown if not name.startswith(OF_LIBRARIES)}


@of_each(LASTING)
def test_the_settings_of_each_process_are_valid(pod: Pod, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in pod.environment.items():
        if name != "CINEMO_SECRETS_FOLDER":
            monkeypatch.setenv(name, value)
    assert Settings().storage_url == pod.environment["CINEMO_STORAGE_URL"]


@of_each(ALL)
def test_secrets_are_mounted_files_and_never_values(pod: Pod) -> None:
    secret = {name for name, field in SETTINGS.items() if SecretStr in (field.annotation, *get_args(field.annotation))}
    assert secret == {
        "CINEMO_POLICY_SECRET",
        "CINEMO_S3_SECRET_ACCESS_KEY",
        "CINEMO_S3_SESSION_TOKEN",
        "CINEMO_SIGNING_KEY",
        "CINEMO_URL_SIGNING_KEY",
    }
    assert not secret & pod.environment.keys()
    assert not [value for name, value in pod.environment.items() if "://" in value and "@" in value]
    if pod.component == "weights":
        return
    (volume,) = (each for each in pod.spec["volumes"] if each["name"] == "secrets")
    (mount,) = (each for each in pod.container["volumeMounts"] if each["name"] == "secrets")
    assert volume["secret"]["secretName"] == "cinemo"
    assert mount == {"name": "secrets", "mountPath": pod.environment["CINEMO_SECRETS_FOLDER"], "readOnly": True}


def test_every_process_that_sends_traces_gets_the_token_from_a_secret() -> None:
    for pod in pods(render(EXAMPLES[0], ('telemetrySecret="collector"',))):
        given = pod.container.get("envFrom", [])
        assert given == ([] if pod.component == "weights" else [{"secretRef": {"name": "collector"}}])
    assert not [pod for _, pod in ALL if "envFrom" in pod.container]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_the_chart_creates_no_secret(example: Path) -> None:
    assert not of_kind(render(example), "Secret")
    assert {each["metadata"]["name"] for each in of_kind(render(example), "ConfigMap")} <= {"cinemo-dashboard"}


@of_each(ALL)
def test_no_process_is_root_or_writes_outside_volumes_or_can_access_the_cluster(pod: Pod) -> None:
    assert pod.spec["automountServiceAccountToken"] is False
    around = pod.spec["securityContext"]
    assert (around["runAsNonRoot"], around["runAsUser"], around["runAsGroup"]) == (True, *user_of_the_images())
    assert around["seccompProfile"] == {"type": "RuntimeDefault"}
    own = pod.container["securityContext"]
    assert own["readOnlyRootFilesystem"] is True
    assert own["allowPrivilegeEscalation"] is False
    assert own["capabilities"] == {"drop": ["ALL"]}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.spec.keys()


def user_of_the_images() -> tuple[int, int]:
    users = {
        line.removeprefix("USER ")
        for file in (ROOT / "deploy/docker").glob("*.Dockerfile")
        for line in file.read_text().splitlines()
        if line.startswith("USER ")
    }
    (user,) = users
    uid, gid = user.split(":")
    return int(uid), int(gid)


@of_each(ALL)
def test_all_writable_volumes_have_a_size_limit(pod: Pod) -> None:
    mounted = {each["mountPath"]: each for each in pod.container["volumeMounts"]}
    volumes = {each["name"]: each for each in pod.spec["volumes"]}
    assert {each["name"] for each in mounted.values()} == volumes.keys()
    assert "/tmp" in mounted
    work = pod.environment.get("CINEMO_WORK_FOLDER")
    if work is not None:
        assert any(work.startswith(path) for path in mounted)
    for each in volumes.values():
        if "emptyDir" in each:
            assert each["emptyDir"]["sizeLimit"]


@of_each(LASTING)
def test_every_process_has_the_probes_that_it_supports(pod: Pod) -> None:
    probes = {name: probe for name, probe in pod.container.items() if name.endswith("Probe")}
    if pod.component != "api":
        assert probes.keys() == {"livenessProbe"}
        assert probes["livenessProbe"]["exec"]["command"] == ["python", "-m", "worker.health"]
        return
    paths = json.loads((ROOT / "docs/openapi.json").read_text())["paths"]
    asked = {name: probe["httpGet"]["path"] for name, probe in probes.items()}
    assert set(asked.values()) <= set(paths)
    # Redis being away must take the API out of the Service, and never restart it.
    assert asked == {"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz"}
    (port,) = pod.container["ports"]
    assert {probe["httpGet"]["port"] for probe in probes.values()} == {port["name"]}
    assert pod.command[-2:] == ["--port", str(port["containerPort"])]


@of_each(LASTING)
def test_stopping_processes_get_more_time_than_they_need(pod: Pod) -> None:
    grace = pod.spec["terminationGracePeriodSeconds"]
    grace_periods = {name: float(value) for name, value in pod.environment.items() if name.endswith("GRACE_SECONDS")}
    if pod.component == "api":
        drained = float(pod.environment["CINEMO_DRAIN_SECONDS"])
        assert grace > drained + grace_periods["CINEMO_REQUEST_GRACE_SECONDS"]
        assert drained >= 5, "every node has to hear that the pod leaves"
    elif pod.component == "webhooks":
        assert grace > TIMEOUT_SECONDS
    else:
        own = "CINEMO_TRAINING_GRACE_SECONDS" if "train" in pod.queues else "CINEMO_SHUTDOWN_GRACE_SECONDS"
        assert grace > grace_periods[own] + watchdog.RELEASE_SECONDS


def test_the_charts_grace_periods_are_the_services_defaults() -> None:
    given = yaml.safe_load((ROOT / "deploy/chart/values.yaml").read_text())["settings"]
    stated = {name: value for name, value in given.items() if name.endswith("GRACE_SECONDS")}
    assert stated == {name: str(SETTINGS[name].default) for name in stated}
    assert len(stated) == 3


@of_each(LASTING)
def test_workers_serve_existing_queues(pod: Pod) -> None:
    assert pod.queues <= set(WORKER_QUEUES)
    assert bool(pod.queues) is (pod.component != "api")


def test_every_queue_has_a_consumer_in_some_example() -> None:
    served: set[str] = set()
    for example in EXAMPLES:
        own: set[str] = set().union(*(pod.queues for pod in pods(render(example))))
        # A training may do without; whoever animates cannot.
        assert {QUEUES["animate"], QUEUES["edit"], SENDERS} <= own, example.name
        served |= own
    assert served == {*QUEUES.values(), SENDERS}


@of_each(LASTING)
def test_a_pool_with_a_gpu_has_the_matching_image_and_device(pod: Pod) -> None:
    image = pod.container["image"].partition(":")[0]
    if pod.component in ("api", "webhooks"):
        assert (image, pod.gpus) == ("cinemo-api", 0)
        return
    device, expected = pod.environment["CINEMO_DEVICE"], ("cuda", "cinemo-worker-cuda")
    assert (device, image) == (expected if pod.gpus else ("cpu", "cinemo-worker"))
    if "train" in pod.queues:
        assert pod.environment["CINEMO_TRAINING_PROCESSES"] == str(max(1, pod.gpus))
    else:
        assert pod.gpus <= 1


def test_the_images_are_those_that_compose_uses() -> None:
    built = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"].values()
    names = {each["image"].partition(":")[0] for each in built if each.get("build")}
    assert {pod.container["image"].partition(":")[0] for _, pod in ALL} == names


def test_the_weights_job_downloads_them_with_the_model_library(monkeypatch: pytest.MonkeyPatch) -> None:
    (job,) = (pod for _, pod in ALL if pod.component == "weights")
    assert job.environment["CINEMO_MODEL"] == "maxin-cn/Cinemo"
    *_, code = job.command
    monkeypatch.setenv("CINEMO_MODEL", "tiny")
    exec(code, {})
    monkeypatch.setenv("CINEMO_MODEL", "no-such-model")
    with pytest.raises(CheckpointError, match="neither a folder, a hub repository"):
        exec(code, {})
