"""Which values the chart's schema accepts, and which it rejects by name before anything is installed."""

import json
import re
from typing import get_args

import pytest
import yaml
from pydantic import SecretStr

from service.contract.settings import Settings
from tests.chart.helm import CHART, EXAMPLES, HelmFailed, lint, render
from tests.chart.manifests import pods
from tests.chart.schema import ManifestInvalid, validate
from tests.systems import need_helm

need_helm()

PAGE = (CHART / "README.md").read_text()
BY_NAME = {path.stem: path for path in EXAMPLES}
ONE, CLASSES = BY_NAME["one-gpu"], BY_NAME["gpu-classes"]
OF_THE_CHART = {"CINEMO_DEVICE", "CINEMO_WORK_FOLDER", "CINEMO_TRAINING_PROCESSES"}
"""They follow from other values."""


def test_chart_settings_are_those_of_the_service_without_secrets() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    open_ones = {
        f"CINEMO_{name.upper()}"
        for name, field in Settings.model_fields.items()
        if SecretStr not in (field.annotation, *get_args(field.annotation))
    }
    names = schema["$defs"]["settings"]["propertyNames"]["enum"]
    assert names == sorted(open_ones - OF_THE_CHART), "write it anew: deploy/chart/values.schema.json"


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ('settings.CINEMO_LOG_LEVLE="debug"', "CINEMO_LOG_LEVLE"),
        ('settings.CINEMO_S3_SECRET_ACCESS_KEY="hidden"', "CINEMO_S3_SECRET_ACCESS_KEY"),
        ('settings.CINEMO_REDIS_URL="redis://:hidden@redis:6379/0"', "CINEMO_REDIS_URL"),
        ('settings.CINEMO_STORAGE_URL="file:///data"', "CINEMO_STORAGE_URL"),
        # Helm reads it as a floating-point number, and would write 1.6777216e+07.
        ("settings.CINEMO_MAX_IMAGE_BYTES=16777216", "CINEMO_MAX_IMAGE_BYTES"),
        ('settings.CINEMO_SHUTDOWN_GRACE_SECONDS="half an hour"', "CINEMO_SHUTDOWN_GRACE_SECONDS"),
        ("settings.CINEMO_STORAGE_URL=null", "CINEMO_STORAGE_URL"),
        ('telemetry.AWS_SECRET_ACCESS_KEY="hidden"', "AWS_SECRET_ACCESS_KEY"),
        ('pools.gpu.queues=["animat"]', "queues"),
        ('pools.gpu.queues=["animate","train"]', "give `train` a pool of its own"),
        ("pools.gpu.gpus=2", "a worker uses one GPU"),
        ("pools.gpu.scaling={}", "jobsPerReplica"),
        ("pools.gpu.replica=3", "replica"),
        ('pools.Gpu={"queues":["edit"]}', "Gpu"),
        ("networkPolicy.redis.to=[]", "minItems"),
        ("networkPolicy.storage.to=[{}]", "minProperties"),
        ('model.claim=""', "model.fetch needs model.claim"),
        ('images.api="registry.example.com/cinemo-api:latest"', "images/api"),
    ],
)
def test_values_that_would_not_work_are_rejected_by_name(value: str, complaint: str) -> None:
    with pytest.raises(HelmFailed, match=complaint):
        render(ONE, (value,))


def test_the_redis_url_must_be_set_as_a_value_or_in_the_secret() -> None:
    assert render(ONE, ('secret=""', 'settings.CINEMO_REDIS_URL="redis://redis.data:6379/0"'))
    assert "CINEMO_REDIS_URL" not in CLASSES.read_text()
    with pytest.raises(HelmFailed, match="CINEMO_REDIS_URL"):
        render(CLASSES, ('secret=""',))


def test_the_documented_secret_contains_nothing_that_its_values_override() -> None:
    kept = {name.upper() for name in re.findall(r"--from-literal=(\w+)=", PAGE)}
    assert {"CINEMO_REDIS_URL", "CINEMO_S3_SECRET_ACCESS_KEY"} <= kept
    assert f"--values deploy/chart/examples/{ONE.name}" in PAGE
    assert not kept & yaml.safe_load(ONE.read_text())["settings"].keys()


def test_the_documented_claim_and_images_are_those_in_the_values() -> None:
    claim, images = (yaml.safe_load(text) for text in re.findall(r"<<'END'\n(.*?)\nEND", PAGE, re.S))
    assert claim["metadata"]["name"] == yaml.safe_load(ONE.read_text())["model"]["claim"]
    validate(claim)
    plain = [pod.container["image"] for pod in pods(render(ONE))]
    moved = tuple(f"images.{name}={json.dumps(image)}" for name, image in images["images"].items())
    found = [pod.container["image"] for pod in pods(render(ONE, moved))]
    assert found == [f"ghcr.io/OWNER/{image}" for image in plain]


def test_without_values_all_missing_ones_are_reported() -> None:
    with pytest.raises(HelmFailed) as refused:
        lint(CHART / "values.yaml")
    for name in ("CINEMO_STORAGE_URL", "CINEMO_REDIS_URL", "/pools", "/networkPolicy/redis", "/networkPolicy/storage"):
        assert name in str(refused.value)


def test_every_value_is_explained() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    top = json.loads((CHART / "values.schema.json").read_text())["properties"]
    pool = top["pools"]["additionalProperties"]["properties"]
    wanted = {f"{part}.{name}" for part, inner in values.items() if isinstance(inner, dict) for name in inner}
    wanted -= {name for name in wanted if name.startswith(("settings.", "pools.", "poolDefaults."))}
    wanted |= {"settings", "secret", "telemetry", "pools", "poolDefaults"} | {f"pools.*.{name}" for name in pool}
    missing = {name for name in wanted if f"`{name}`" not in PAGE}
    assert not missing


@pytest.mark.parametrize(
    ("kind", "fault"),
    [
        ("Deployment", {"replica": 3}),
        ("NetworkPolicy", {"egres": []}),
        ("PodDisruptionBudget", {"minAvailble": 1}),
        ("ScaledObject", {"minReplicas": 1}),
        ("ServiceMonitor", {"endpoint": []}),
        ("PrometheusRule", {"group": []}),
    ],
)
def test_the_validator_rejects_an_unknown_field(kind: str, fault: dict[str, object]) -> None:
    manifest = next(each for each in render(CLASSES) if each["kind"] == kind)
    validate(manifest)
    with pytest.raises(ManifestInvalid, match=next(iter(fault))):
        validate({**manifest, "spec": {**manifest["spec"], **fault}})


def test_the_validator_rejects_an_unknown_kind() -> None:
    with pytest.raises(ManifestInvalid, match="Pony"):
        validate({"apiVersion": "v1", "kind": "Pony", "metadata": {"name": "p"}})
