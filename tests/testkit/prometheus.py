"""Debian's Prometheus as a process, with the files that are deployed; and promtool, which reads them as it does.

What lives here: the configuration with other targets and a shorter interval, start, stop, queries. What does not: what
must be found (`tests/deploy/`).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
import yaml

from benchmarks.server import free_port
from tests.testkit.daemon import DEADLINE_SECONDS, Daemon
from tests.testkit.serving_process import ROOT

DEPLOYED: Final = ROOT / "deploy" / "prometheus"
CONFIG: Final = DEPLOYED / "prometheus.yml"
RULES: Final = sorted((DEPLOYED / "rules").glob("*.yml"))
INTERVAL: Final = "500ms"
RATE_INTERVAL: Final = "2s"
"""What Grafana takes rates over at least: four scrapes."""

needs_prometheus: Final = pytest.mark.skipif(
    not (shutil.which("prometheus") and shutil.which("promtool")),
    reason="there is no prometheus: apt-get install prometheus",
)

"""Between two questions to a process that can only be asked again."""

Targets = Mapping[str, Mapping[str, str]]
"""By job: the name that the address would be found by, and the address."""


def promtool(*arguments: str | Path) -> str:
    """What promtool prints; it must be content."""
    environment = {**os.environ, "GOGC": "400"}  # it looks for garbage a sixth of its time otherwise
    command = ["promtool", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, env=environment, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def with_targets(config: Any, targets: Targets, *, alertmanager: str = "") -> Any:
    """The deployed configuration with what an operator changes: where others are found, and how often they are asked.

    A name is what DNS would have found the address by, so that the relabelling is the deployed one.
    """
    found = json.loads(json.dumps(config))
    found["global"] |= dict.fromkeys(("scrape_interval", "scrape_timeout", "evaluation_interval"), INTERVAL)
    (alerting,) = found["alerting"]["alertmanagers"]
    del alerting["dns_sd_configs"]
    alerting["static_configs"] = [{"targets": [alertmanager] if alertmanager else []}]
    for job in found["scrape_configs"]:
        del job["dns_sd_configs"]
        job["static_configs"] = [
            {"targets": [address], "labels": {"__meta_dns_name": name}}
            for name, address in targets.get(job["job_name"], {}).items()
        ]
    return found


@dataclass(frozen=True)
class Sample:
    """One series' value at one time."""

    labels: Mapping[str, str]
    value: float


def quickened(rules: Any, *, waits: bool) -> Any:
    """The deployed rules, with each group as often as any other; unless `waits`, alerts fire as soon as they hold."""
    found = json.loads(json.dumps(rules))
    for group in found["groups"]:
        group.pop("interval", None)
        for rule in group["rules"]:
            if not waits:
                rule.pop("for", None)
    return found


class Prometheus(Daemon):
    """It scrapes `targets` and tells `alertmanager`, with its files in `folder`; ready once constructed.

    `waits`: alerts wait for as long as they are deployed to.
    """

    def __init__(self, folder: Path, targets: Targets, *, alertmanager: str = "", waits: bool = True) -> None:
        config = with_targets(yaml.safe_load(CONFIG.read_text(encoding="utf-8")), targets, alertmanager=alertmanager)
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
        (folder / "rules").mkdir()
        for path in RULES:
            rules = yaml.safe_load(path.read_text(encoding="utf-8"))
            (folder / "rules" / path.name).write_text(yaml.safe_dump(quickened(rules, waits=waits)), encoding="utf-8")
        address = f"127.0.0.1:{free_port()}"
        url = f"http://{address}"
        command = [
            "prometheus",
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.console.templates={DEPLOYED / 'consoles'}",
            f"--web.external-url={url}",
            f"--web.listen-address={address}",
        ]
        super().__init__(command, url=url, folder=folder)

    def now(self, query: str, *, at: float | None = None) -> list[Sample]:
        """What `query` finds, now or at a time."""
        found = self._get("query", query=query, **({} if at is None else {"time": str(at)}))
        if found["resultType"] == "scalar":
            return [Sample({}, float(found["result"][1]))]
        return [Sample(each["metric"], float(each["value"][1])) for each in found["result"]]

    def number(self, query: str, *, at: float | None = None) -> float:
        """The one value that `query` finds; 0 if it finds nothing."""
        found = self.now(query, at=at)
        assert len(found) <= 1, f"{query} has {len(found)} values"
        return found[0].value if found else 0.0

    def over_time(self, query: str, *, start: float, end: float) -> list[Sample]:
        """All values of what `query` finds between two times, two a second."""
        found = self.series(query, start=start, end=end, step=0.5)
        return [Sample(each["metric"], float(value)) for each in found for _, value in each["values"]]

    def series(self, query: str, *, start: float, end: float, step: float) -> list[dict[str, Any]]:
        """Each series that `query` finds between two times, as Prometheus answers: `metric` and `values`."""
        found = self._get("query_range", query=query, start=str(start), end=str(end), step=str(step))
        return list(found["result"])

    def rules(self) -> list[dict[str, Any]]:
        """All rules, with their health."""
        return [rule for group in self._get("rules")["groups"] for rule in group["rules"]]

    def targets(self) -> list[dict[str, Any]]:
        """The targets that it scrapes."""
        return list(self._get("targets", state="active")["activeTargets"])

    def _get(self, what: str, **parameters: str) -> Any:
        text = urlencode(parameters)
        posted = what.startswith("query")  # as Grafana does: expressions may be longer than a URL
        path = f"{self.url}/api/v1/{what}" + ("" if posted else f"?{text}")
        with urlopen(path, text.encode() if posted else None, timeout=DEADLINE_SECONDS) as answer:
            return json.loads(answer.read())["data"]
