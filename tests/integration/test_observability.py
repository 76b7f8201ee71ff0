"""Alert rules and dashboard use metrics that a real API exposes, and their links have targets."""

import json
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from service.store.counters import SHARED_COUNTERS, SHARED_HISTOGRAMS, Counters
from tests.conftest import Api
from tests.jobs import JobStore

ROOT = Path(__file__).parents[2]
OBSERVABILITY = ROOT / "deploy" / "observability"
METRIC = re.compile(r"\b(?:cinemo|process|python)_[a-z_]+\b")
SELECTOR = re.compile(r"\b((?:cinemo|process|python)_[a-z_]+)\{([^}]*)\}")
GROUPING = re.compile(r"\b(?:by|on|without) \(([^)]*)\)")
OF_SCRAPES = {"job", "instance"}
"""Labels that Prometheus adds."""
MADE = {"kind"}
"""By label_replace, of a worker's queue."""


def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load((OBSERVABILITY / "alerts.yml").read_text())["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((OBSERVABILITY / "dashboards" / "cinemo.json").read_text())
    return found


def panels() -> list[dict[str, Any]]:
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def queries() -> Iterator[str]:
    yield from (rule["expr"] for rule in rules())
    yield from (target["expr"] for panel in panels() for target in panel["targets"])


@pytest.fixture
def reported_labels(api: Api) -> dict[str, set[str]]:
    """Labels by name of all samples that an API exposes after every kind of event."""
    counters = Counters(api.redis)
    JobStore(api.redis).recovery.note_round()
    for counter in SHARED_COUNTERS:
        counters.count(counter.plus(*("x" for _ in counter.labels)))
    for histogram in SHARED_HISTOGRAMS:
        counters.count(histogram.observed(*("x" for _ in histogram.labels), seconds=1))
    httpx.get(f"{api.url}/healthz")
    families = text_string_to_metric_families(httpx.get(f"{api.url}/metrics").text)
    return {sample.name: set(sample.labels) for family in families for sample in family.samples}


def test_every_metric_in_a_query_exists_with_the_labels_it_uses(reported_labels: dict[str, set[str]]) -> None:
    for query in queries():
        asked = set(METRIC.findall(query))
        assert asked <= set(reported_labels), query
        for name, selectors in SELECTOR.findall(query):
            chosen = set(re.findall(r"([a-z_]+)\s*[=!]~?", re.sub(r'"[^"]*"', '""', selectors)))
            assert chosen <= reported_labels[name] | OF_SCRAPES, query
        known = OF_SCRAPES | MADE | {label for name in asked for label in reported_labels[name]}
        for labels in GROUPING.findall(query):
            assert {label.strip() for label in labels.split(",") if label.strip()} <= known, query


def test_every_metric_is_used_by_a_rule_or_the_dashboard(reported_labels: dict[str, set[str]]) -> None:
    asked = {re.sub(r"_(bucket|count|sum)$", "", name) for query in queries() for name in METRIC.findall(query)}
    ours = {re.sub(r"_(bucket|count|sum)$", "", name) for name in reported_labels if name.startswith("cinemo_")}
    assert ours <= asked


def test_each_alert_has_a_severity_a_description_and_a_runbook() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    headings = {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in re.findall(r"^#+ (.+)$", page, re.M)}
    runbook = page.split("## Runbook", 1)[1].split("\n## ", 1)[0]
    for rule in rules():
        assert rule["labels"] == {"severity": rule["labels"]["severity"]}
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert re.fullmatch(r"\d+m", rule["for"])
        assert rule["annotations"]["summary"].endswith(".")
        path, _, anchor = rule["annotations"]["runbook_url"].partition("#")
        assert path == "docs/operations.md"
        assert anchor in headings, rule["alert"]
        assert f"`{rule['alert']}`" in runbook
    for section in runbook.split("\n### ")[1:]:
        assert all(f"**{part}**:" in section for part in ("Symptom", "Metric", "Command", "Fix")), section


def test_each_alert_has_a_rule_test() -> None:
    played = (OBSERVABILITY / "alerts_test.yml").read_text()
    fires = set(re.findall(r"alertname: (\w+)\n\s+eval_time: \w+\n\s+exp_alerts", played))
    fires |= set(re.findall(r'alertname="(\w+)"[^\n]*exp_samples', played))
    assert fires == {rule["alert"] for rule in rules()}


def test_the_dashboard_is_complete() -> None:
    ids = [panel["id"] for panel in dashboard()["panels"]]
    assert len(ids) == len(set(ids))
    for panel in panels():
        assert panel["title"]
        assert panel["description"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["datasource"]["uid"] == "${datasource}"
        references = [target["refId"] for target in panel["targets"]]
        assert len(references) == len(set(references)) > 0
    for one, other in combinations((panel["gridPos"] for panel in dashboard()["panels"]), 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        assert beside or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]


def services() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    return found


def mounted(name: str) -> dict[str, Path]:
    """Our files and folders by the path at which a service mounts them."""
    volumes = [volume.split(":") for volume in services()[name]["volumes"]]
    return {target: ROOT / source for source, target, *_ in volumes if source.startswith(".")}


def test_the_stack_mounts_all_configuration_files() -> None:
    for name in ("prometheus", "grafana"):
        assert services()[name]["profiles"] == ["observability"]
        assert re.search(r":v?\d+\.\d+\.\d+$", services()[name]["image"])
        assert all(path.exists() for path in mounted(name).values())
    prometheus, grafana = mounted("prometheus"), mounted("grafana")
    (rule_file,) = yaml.safe_load(prometheus["/etc/prometheus/prometheus.yml"].read_text())["rule_files"]
    assert f"/etc/prometheus/{rule_file}" in prometheus
    provided = yaml.safe_load((grafana["/etc/grafana/provisioning/dashboards"] / "cinemo.yml").read_text())
    place = provided["providers"][0]["options"]["path"]
    assert (grafana[place] / "cinemo.json").exists()
    assert services()["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"] == f"{place}/cinemo.json"


def test_grafana_reaches_prometheus_and_prometheus_the_api() -> None:
    (source,) = yaml.safe_load((OBSERVABILITY / "grafana" / "datasources" / "prometheus.yml").read_text())[
        "datasources"
    ]
    (job,) = yaml.safe_load((OBSERVABILITY / "prometheus.yml").read_text())["scrape_configs"]
    (target,) = job["static_configs"][0]["targets"]
    for client, address in (("grafana", source["url"]), ("prometheus", f"http://{target}")):
        url = httpx.URL(address)
        server = services()[url.host]
        assert set(services()[client]["networks"]) & set(server["networks"])
        assert any(published.endswith(f":{url.port}") for published in server["ports"])


def test_the_dashboard_uses_the_provisioned_data_source() -> None:
    (source,) = yaml.safe_load((OBSERVABILITY / "grafana" / "datasources" / "prometheus.yml").read_text())[
        "datasources"
    ]
    (variable,) = dashboard()["templating"]["list"]
    assert (variable["type"], variable["query"], source["isDefault"]) == ("datasource", source["type"], True)
    used = {each["uid"] for each in sources(dashboard())}
    assert used == {f"${{{variable['name']}}}"}


def sources(part: Any) -> Iterator[dict[str, str]]:
    """Every data source that a dashboard names."""
    if isinstance(part, dict):
        yield from (value for name, value in part.items() if name == "datasource" and isinstance(value, dict))
        part = list(part.values())
    if isinstance(part, list):
        for each in part:
            yield from sources(each)
