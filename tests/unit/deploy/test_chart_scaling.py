"""How many pods run: by load, during drains of nodes, and where training yields."""

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
def test_only_deployments_without_a_scaler_have_a_number_of_replicas(example: Path) -> None:
    manifests = render(example)
    scalers = of_kind(manifests, "ScaledObject", "HorizontalPodAutoscaler")
    scaled = [each["spec"]["scaleTargetRef"]["name"] for each in scalers]
    assert len(scaled) == len(set(scaled))
    for each in of_kind(manifests, "Deployment"):
        assert ("replicas" in each["spec"]) is (each["metadata"]["name"] not in scaled)
    for name in scaled:
        deployment(manifests, name)


def test_queries_use_existing_metrics_and_labels() -> None:
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
        "cinemo_finishing_jobs",
        "cinemo_queue_oldest_seconds",
        "cinemo_webhooks_overdue_seconds",
    }


def test_a_pool_scales_with_the_depth_and_age_of_its_own_queues() -> None:
    depth, age = triggers(CLASSES, "h100")
    kinds = 'kind=~"animate|edit"'
    assert kinds in depth["metadata"]["query"]
    assert kinds in age["metadata"]["query"]
    assert depth["metadata"]["query"].startswith("0.7 * ")
    assert (depth["metricType"], age["metricType"]) == ("AverageValue", "Value")
    (trainings,) = triggers(TRAINER, "train")
    assert 'kind=~"train"' in trainings["metadata"]["query"]


def test_a_job_that_has_left_its_device_asks_for_no_worker() -> None:
    query, _ = triggers(CLASSES, "h100")
    counted = re.findall(r"([+-]?) ?sum\(max by \(kind\) \((\w+)\{", query["metadata"]["query"])
    signs = {"cinemo_queue_jobs": "", "cinemo_running_jobs": "+", "cinemo_finishing_jobs": "-"}
    assert {name: sign for sign, name in counted} == signs


def test_the_shares_of_pools_that_serve_one_queue_add_up_to_one() -> None:
    shares = [float(triggers(CLASSES, pool)[0]["metadata"]["query"].partition(" ")[0]) for pool in ("h100", "l4")]
    assert sum(shares) == pytest.approx(1)


def test_queries_select_the_series_of_the_service_monitor() -> None:
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
def test_every_long_running_pod_has_exactly_one_disruption_budget(example: Path) -> None:
    manifests = render(example)
    budgets = of_kind(manifests, "PodDisruptionBudget")
    lasting = [pod for pod in pods(manifests) if pod.workload["kind"] == "Deployment"]
    for pod in lasting:
        (budget,) = (each for each in budgets if selects(each["spec"]["selector"], pod.labels))
        # With a lower bound a single replica would keep its machine from being drained for ever.
        assert "minAvailable" not in budget["spec"]
    assert len(budgets) == len(lasting)


@EXAMPLE
def test_a_deployments_selector_matches_only_its_own_pods(example: Path) -> None:
    manifests = render(example)
    for each in of_kind(manifests, "Deployment"):
        found = [pod.name for pod in pods(manifests) if selects(each["spec"]["selector"], pod.labels)]
        assert found == [each["metadata"]["name"]]


def test_training_pods_yield_to_others_and_preempt_none() -> None:
    manifests = render(TRAINER)
    classes = {each["metadata"]["name"]: each for each in of_kind(manifests, "PriorityClass")}
    by_queue = {queue: classes[pod.spec["priorityClassName"]] for pod in pods(manifests) for queue in pod.queues}
    training, serving = by_queue.pop(QUEUES["train"]), list(by_queue.values())
    assert all(training["value"] < each["value"] for each in serving)
    assert training["preemptionPolicy"] == "Never"
    assert all(each.get("preemptionPolicy") != "Never" for each in serving)
    # Below this the cluster autoscaler counts a pod as expendable, and adds no machine for it.
    assert training["value"] >= -10


def test_at_least_one_worker_is_kept_for_lapsed_jobs() -> None:
    with pytest.raises(HelmFailed, match="one pool must keep a worker"):
        render(TRAINER, ("pools.cpu.replicas=0",))


def test_scaling_requires_a_prometheus_url() -> None:
    with pytest.raises(HelmFailed, match=r"prometheus\.address is needed"):
        render(TRAINER, ('prometheus.address=""',))
