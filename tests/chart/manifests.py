"""Queries over rendered manifests."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from tests.chart.helm import Manifest

WORKLOADS = ("Deployment", "Job")


@dataclass(frozen=True)
class Pod:
    """What one workload starts: its only container and its surroundings."""

    workload: Manifest

    @property
    def name(self) -> str:
        return cast(str, self.workload["metadata"]["name"])

    @property
    def labels(self) -> dict[str, str]:
        return cast(dict[str, str], self.template["metadata"]["labels"])

    @property
    def component(self) -> str:
        return self.labels["app.kubernetes.io/component"]

    @property
    def template(self) -> dict[str, Any]:
        return cast(dict[str, Any], self.workload["spec"]["template"])

    @property
    def spec(self) -> dict[str, Any]:
        return cast(dict[str, Any], self.template["spec"])

    @property
    def container(self) -> dict[str, Any]:
        (only,) = self.spec["containers"]
        assert "initContainers" not in self.spec
        return cast(dict[str, Any], only)

    @property
    def command(self) -> list[str]:
        return cast(list[str], self.container["command"])

    @property
    def environment(self) -> dict[str, str]:
        """Only literal values: a value from a Secret fails here."""
        return {each["name"]: each["value"] for each in self.container.get("env", ())}

    @property
    def queues(self) -> set[str]:
        """The queues that a worker serves; none for other processes."""
        named = re.search(r"-m worker --queue (\S+)", " ".join(self.command))
        return set(named[1].split(",")) if named else set()

    @property
    def gpus(self) -> int:
        """The number of GPUs, whatever their resource is called."""
        limits = self.container["resources"].get("limits", {})
        return sum(int(count) for name, count in limits.items() if name.startswith("nvidia.com/"))


def of_kind(manifests: Sequence[Manifest], *kinds: str) -> list[Manifest]:
    return [each for each in manifests if each["kind"] in kinds]


def pods(manifests: Sequence[Manifest]) -> list[Pod]:
    """One pod per workload."""
    return [Pod(each) for each in of_kind(manifests, *WORKLOADS)]


def selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    """Whether a Kubernetes label selector matches these labels."""
    wanted = selector.get("matchLabels", {})
    for rule in selector.get("matchExpressions", ()):
        assert rule["operator"] == "In", rule
        if labels.get(rule["key"]) not in rule["values"]:
            return False
    return all(labels.get(name) == value for name, value in wanted.items())
