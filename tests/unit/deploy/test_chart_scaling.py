"""How many of what run: by load, through drains of machines, and where trainings give way."""

import re
from pathlib import Path
from typing import Any

import pytest

from deploy.lock import ROOT
from service.store.queue import QUEUES
from tests.chart.helm import EXAMPLES, NAMESPACE, HelmFailed, Manifest, render
from tests.chart.manifests import of_kind, pods, selects
from tests.systems import need_helm

need_helm()

BY_NAME = {path.stem: path for path in EXAMPLES}
CLASSES, TRAINER = BY_NAME["gpu-classes"], BY_NAME["s3-and-trainer"]
EXAMPLE = pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)


def triggers(example: Path, pool: str) -> list[dict[str, Any]]:
    (found,) = (each for each in of_kind(render(example), "ScaledObject") if each["metadata"]["name"].endswith(pool))
    made: list[dict[str, Any]] = found["spec"]["triggers"]
    return made


def deployment(manifests: list[Manifest], name: str) -> Manifest:
    (found,) = (each for each in of_kind(manifests, "Deployment") if each["metadata"]["name"] == name)
    return found


@EXAMPLE
def test_who_is_scaled_has_no_number_of_its_own_and_the_others_have_one(example: Path) -> None:
    manifests = render(example)
    scalers = of_kind(manifests, "ScaledObject", "HorizontalPodAutoscaler")
    scaled = [each["spec"]["scaleTargetRef"]["name"] for each in scalers]
    assert len(scaled) == len(set(scaled))
    for each in of_kind(manifests, "Deployment"):
        assert ("replicas" in each["spec"]) is (each["metadata"]["name"] not in scaled)
    for name in scaled:
        deployment(manifests, name)


def test_queries_ask_for_metrics_that_the_service_has_with_their_labels() -> None:
    page = (ROOT / "docs/operations.md").read_text()
    labels_by_metric = dict(re.findall(r"^\| `(cinemo_\w+)` \|([a-z, ]*)\|", page, re.MULTILINE))
    asked: set[str] = set()
    for example in (CLASSES, TRAINER):
        for scaler in of_kind(render(example), "ScaledObject"):
            for trigger in scaler["spec"]["triggers"]:
                for name, labels in re.findall(r"(cinemo_\w+)\{([^}]*)\}", trigger["metadata"]["query"]):
                    own = set(re.findall(r'(\w+)=~?"', labels)) - {"namespace", "service"}
                    assert own <= set(labels_by_metric[name].strip().split(", ")), name
                    asked.add(name)
    assert asked == {
        "cinemo_queue_jobs",
        "cinemo_running_jobs",
        "cinemo_queue_oldest_seconds",
        "cinemo_webhooks_overdue_seconds",
    }


def test_a_pool_follows_depth_and_age_of_its_own_queues() -> None:
    depth, age = triggers(CLASSES, "h100")
    kinds = 'kind=~"animate|edit"'
    assert kinds in depth["metadata"]["query"]
    assert kinds in age["metadata"]["query"]
    assert depth["metadata"]["query"].startswith("0.7 * ")
    assert (depth["metricType"], age["metricType"]) == ("AverageValue", "Value")
    (trainings,) = triggers(TRAINER, "train")
    assert 'kind=~"train"' in trainings["metadata"]["query"]


def test_the_shares_of_pools_that_pull_from_one_line_make_a_whole() -> None:
    shares = [float(triggers(CLASSES, pool)[0]["metadata"]["query"].partition(" ")[0]) for pool in ("h100", "l4")]
    assert sum(shares) == pytest.approx(1)


def test_series_are_those_that_the_service_monitor_makes() -> None:
    manifests = render(CLASSES)
    (monitor,) = of_kind(manifests, "ServiceMonitor")
    (service,) = (
        each
        for each in of_kind(manifests, "Service")
        if selects(monitor["spec"]["selector"], each["metadata"]["labels"])
    )
    (endpoint,) = monitor["spec"]["endpoints"]
    assert (endpoint["path"], endpoint["port"]) == ("/metrics", service["spec"]["ports"][0]["name"])
    found = f'namespace="{NAMESPACE}", service="{service["metadata"]["name"]}"'
    for scaler in of_kind(manifests, "ScaledObject"):
        for trigger in scaler["spec"]["triggers"]:
            query = trigger["metadata"]["query"]
            assert query.count(found) == query.count("{")
            # Redis or Prometheus being away would else look like an empty queue.
            assert trigger["metadata"]["ignoreNullValues"] == "false"


@EXAMPLE
def test_a_budget_for_disruptions_covers_every_pod_that_lasts_once(example: Path) -> None:
    manifests = render(example)
    budgets = of_kind(manifests, "PodDisruptionBudget")
    lasting = [pod for pod in pods(manifests) if pod.workload["kind"] == "Deployment"]
    for pod in lasting:
        (budget,) = (each for each in budgets if selects(each["spec"]["selector"], pod.labels))
        # With a lower bound a single replica would keep its machine from being drained for ever.
        assert "minAvailable" not in budget["spec"]
    assert len(budgets) == len(lasting)


@EXAMPLE
def test_a_deployments_selector_finds_its_pods_and_no_other_ones(example: Path) -> None:
    manifests = render(example)
    for each in of_kind(manifests, "Deployment"):
        found = [pod.name for pod in pods(manifests) if selects(each["spec"]["selector"], pod.labels)]
        assert found == [each["metadata"]["name"]]


def test_a_training_gives_way_to_those_who_serve_and_takes_nobodys_place() -> None:
    manifests = render(TRAINER)
    classes = {each["metadata"]["name"]: each for each in of_kind(manifests, "PriorityClass")}
    by_queue = {queue: classes[pod.spec["priorityClassName"]] for pod in pods(manifests) for queue in pod.queues}
    training, serving = by_queue.pop(QUEUES["train"]), list(by_queue.values())
    assert all(training["value"] < each["value"] for each in serving)
    assert training["preemptionPolicy"] == "Never"
    assert all(each.get("preemptionPolicy") != "Never" for each in serving)
    # Below this the cluster autoscaler counts a pod as expendable, and adds no machine for it.
    assert training["value"] >= -10


def test_somebody_always_looks_after_lapsed_jobs() -> None:
    with pytest.raises(HelmFailed, match="one pool must keep a worker"):
        render(TRAINER, ("pools.cpu.replicas=0",))


def test_scaling_needs_somebody_to_ask() -> None:
    with pytest.raises(HelmFailed, match=r"prometheus\.address is needed"):
        render(TRAINER, ('prometheus.address=""',))
