"""The chart's alerts and dashboard are those of `deploy/observability`, with the labels to be discovered."""

import json
import re
from pathlib import Path

import yaml

from tests.chart.helm import CHART, call, render
from tests.chart.manifests import of_kind, selects
from tests.chart.schema import validate
from tests.systems import need_helm

need_helm()

OBSERVABILITY = CHART.parent / "observability"
ALERTS, DASHBOARD = OBSERVABILITY / "alerts.yml", OBSERVABILITY / "dashboards" / "cinemo.json"
ONE, CLASSES = (CHART / "examples" / name for name in ("one-gpu.yaml", "gpu-classes.yaml"))


def test_the_charts_rules_are_the_tested_ones_with_their_templates_preserved() -> None:
    (rule,) = of_kind(render(CLASSES), "PrometheusRule")
    assert rule["spec"] == yaml.safe_load(ALERTS.read_text())
    assert "{{ $labels.kind }}" in json.dumps(rule)


def test_alerts_link_to_the_configured_runbook() -> None:
    base = "https://git.example.com/cinemo/blob/main/"
    (rule,) = of_kind(render(CLASSES, (f'prometheus.runbook="{base}"',)), "PrometheusRule")
    links = [each["annotations"]["runbook_url"] for each in rule["spec"]["groups"][0]["rules"]]
    assert {link.partition("#")[0] for link in links} == {f"{base}docs/operations.md"}


def test_the_dashboard_is_composes_with_the_label_of_grafanas_sidecar() -> None:
    (folder,) = (each for each in of_kind(render(CLASSES), "ConfigMap") if "cinemo.json" in each["data"])
    assert json.loads(folder["data"]["cinemo.json"]) == json.loads(DASHBOARD.read_text())
    assert folder["metadata"]["labels"]["grafana_dashboard"] == "1"


def test_rules_and_dashboard_are_optional_and_have_the_configured_labels() -> None:
    assert of_kind(render(ONE), "PrometheusRule", "ConfigMap") == []
    labels = '{"enabled": true, "labels": {"team": "video"}}'
    asked = render(ONE, (f"prometheus.rules={labels}", f"grafana.dashboard={labels}"))
    for manifest in of_kind(asked, "PrometheusRule", "ConfigMap"):
        validate(manifest)
        assert manifest["metadata"]["labels"]["team"] == "video"


def test_rules_and_dashboard_select_the_job_label_of_the_service_monitor() -> None:
    (monitor,) = of_kind(render(CLASSES), "ServiceMonitor")
    (service,) = (
        each
        for each in of_kind(render(CLASSES), "Service")
        if selects(monitor["spec"]["selector"], each["metadata"]["labels"])
    )
    job = service["metadata"]["labels"][monitor["spec"]["jobLabel"]]
    asked = set(re.findall(r'job=\\?"(\w+)', ALERTS.read_text() + DASHBOARD.read_text()))
    assert asked == {job}


def test_a_packaged_chart_contains_files_instead_of_links(tmp_path: Path) -> None:
    call("package", str(CHART), "--destination", str(tmp_path))
    (package,) = tmp_path.glob("*.tgz")
    shown = call("template", "cinemo", str(package), "--values", str(CLASSES))
    (rule,) = (each for each in yaml.safe_load_all(shown) if each and each["kind"] == "PrometheusRule")
    assert rule["spec"] == yaml.safe_load(ALERTS.read_text())
