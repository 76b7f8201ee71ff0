"""`python -m tests.dashboard`: the dashboard's queries as rules, for promtool to check; `make observability-test`."""

import json
import sys
from pathlib import Path

DASHBOARD = Path(__file__).parents[1] / "deploy" / "observability" / "dashboards" / "cinemo.json"


def main() -> None:
    """Print a file of rules; JSON is also YAML."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    queries = [target["expr"] for panel in panels for target in panel.get("targets", ())]
    # What Grafana puts in.
    rules = [
        {"record": f"query_{number}", "expr": query.replace("$__rate_interval", "1m")}
        for number, query in enumerate(queries)
    ]
    json.dump({"groups": [{"name": "dashboard", "rules": rules}]}, sys.stdout)


if __name__ == "__main__":
    main()
