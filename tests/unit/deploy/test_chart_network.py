"""The chart's NetworkPolicies: which pods may communicate."""

from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest

from service.outbound import addresses
from tests.chart.helm import CHART, EXAMPLES, render
from tests.chart.manifests import Pod, of_kind, pods, selects
from tests.systems import need_helm

need_helm()

CLASSES, ONE = (CHART / "examples" / name for name in ("gpu-classes.yaml", "one-gpu.yaml"))
EXAMPLE = pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
PUBLIC = ("1.1.1.1", "93.184.216.34", "2606:4700::1111")
PRIVATE = (
    "10.96.0.1",
    "127.0.0.1",
    "169.254.169.254",
    "192.168.1.1",
    "172.17.0.1",
    "100.64.0.1",
    "fd00:ec2::254",
    "::1",
)


def policies(example: Path, pod: Pod, direction: str) -> list[dict[str, Any]]:
    """Policies that apply to a pod in a direction."""
    return [
        each["spec"]
        for each in of_kind(render(example), "NetworkPolicy")
        if selects(each["spec"]["podSelector"], pod.labels) and direction in each["spec"]["policyTypes"]
    ]


def may_call(example: Path, pod: Pod, address: str, port: int) -> bool:
    """Whether some rule lets a pod connect to an IP address."""
    for policy in policies(example, pod, "Egress"):
        for rule in policy.get("egress", ()):
            ports = [each["port"] for each in rule.get("ports", ())]
            blocks = [peer["ipBlock"] for peer in rule["to"] if "ipBlock" in peer]
            if (not ports or port in ports) and any(holds(block, address) for block in blocks):
                return True
    return False


def holds(block: dict[str, Any], address: str) -> bool:
    inside = [ip_address(address) in ip_network(block["cidr"])]
    inside += [ip_address(address) not in ip_network(each) for each in block.get("except", ())]
    return all(inside)


@EXAMPLE
def test_every_pod_has_policies_for_both_directions(example: Path) -> None:
    for pod in pods(render(example)):
        assert policies(example, pod, "Egress")
        assert policies(example, pod, "Ingress")


@EXAMPLE
def test_only_pods_that_fetch_or_call_urls_reach_the_internet(example: Path) -> None:
    for pod in pods(render(example)):
        for port in (80, 443, 8443):
            goes_out = pod.component in ("api", "webhooks") or (pod.component == "weights" and port == 443)
            assert [may_call(example, pod, address, port) for address in PUBLIC] == [goes_out] * len(PUBLIC), pod.name


def test_an_upgrade_that_enables_fetching_is_not_blocked_by_the_installed_policies() -> None:
    (job,) = (pod for pod in pods(render(ONE)) if pod.component == "weights")
    before = of_kind(render(ONE, ("model.fetch=false",)), "NetworkPolicy")
    assert before == of_kind(render(ONE), "NetworkPolicy")
    assert any(each["spec"]["podSelector"]["matchLabels"].items() <= job.labels.items() for each in before)


@EXAMPLE
def test_no_pod_reaches_private_addresses_or_metadata_services_on_web_ports(example: Path) -> None:
    storage = "10.0.0.0/16" in str(render(example))
    for pod in pods(render(example)):
        for address in PRIVATE:
            assert not may_call(example, pod, address, 80), (pod.name, address)
            assert not may_call(example, pod, address, 443) or (storage and address.startswith("10.0.")), pod.name


def test_policies_and_service_agree_on_public_addresses() -> None:
    api = next(pod for pod in pods(render(CLASSES)) if pod.component == "api")
    (policy,) = (each for each in policies(CLASSES, api, "Egress") if "0.0.0.0/0" in str(each))
    v4, v6 = (peer["ipBlock"] for peer in policy["egress"][0]["to"][:2])
    assert [ip_network(each) for each in v4["except"]] == addresses.NOT_PUBLIC_V4
    assert ip_network(v6["cidr"]) == addresses.UNICAST_V6
    assert [ip_network(each) for each in v6["except"]] == addresses.NOT_PUBLIC_V6


def test_networks_allowed_by_the_settings_are_open_for_the_same_processes() -> None:
    for pod in pods(render(CLASSES)):
        assert may_call(CLASSES, pod, "10.20.30.4", 9000) is (pod.component in ("api", "webhooks"))


@EXAMPLE
def test_all_pods_except_the_weights_job_reach_redis_and_the_storage(example: Path) -> None:
    manifests = render(example)
    (backends,) = (each for each in of_kind(manifests, "NetworkPolicy") if "redis" in each["metadata"]["name"])
    for pod in pods(manifests):
        assert selects(backends["spec"]["podSelector"], pod.labels) is (pod.component != "weights")
    # A rule without peers would be one for all.
    assert all(rule["to"] and rule["ports"] for rule in backends["spec"]["egress"])


@EXAMPLE
def test_only_the_api_accepts_connections(example: Path) -> None:
    for pod in pods(render(example)):
        rules = [rule for policy in policies(example, pod, "Ingress") for rule in policy.get("ingress", ())]
        assert bool(rules) is (pod.component == "api")
        assert [port["port"] for rule in rules for port in rule["ports"]] == ["http"] * len(rules)


def test_network_policies_can_be_disabled() -> None:
    assert of_kind(render(CLASSES), "NetworkPolicy")
    assert not of_kind(render(CLASSES, ("networkPolicy.enabled=false",)), "NetworkPolicy")
