"""What is being measured is there for the real Prometheus, by the deployed configuration, and gone when it is over."""

from __future__ import annotations

import urllib.request
from pathlib import Path

from loadtests.marks import METRIC, Marks
from tests.testkit.prometheus import Prometheus, needs_prometheus


def asked(marks: Marks) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{marks.port}/metrics") as answer:
        text: str = answer.read().decode()
        return text


def test_there_is_a_sample_only_while_something_is_measured() -> None:
    with Marks(port=0, run="nightly", host="127.0.0.1") as marks:
        assert f"\n{METRIC}{{" not in asked(marks)
        marks.phase = 'random × 8 "quick"\n'
        assert f'\n{METRIC}{{run="nightly",phase="random × 8 \\"quick\\"\\n"}} 1\n' in asked(marks)
        marks.phase = ""
        assert f"\n{METRIC}{{" not in asked(marks)


@needs_prometheus
def test_prometheus_finds_it_by_the_deployed_configuration(tmp_path: Path) -> None:
    """With the phase as a label, by which Grafana's dashboards mark it."""
    with (
        Marks(port=0, run="nightly", host="127.0.0.1") as marks,
        Prometheus(tmp_path, {"loadtest": {"loadtest": f"127.0.0.1:{marks.port}"}}) as prometheus,
    ):
        marks.phase = "complex × 16"
        prometheus.wait_until(lambda: bool(prometheus.now(METRIC)))
        [sample] = prometheus.now(METRIC)
        assert sample.labels["phase"] == "complex × 16"
        assert (sample.labels["run"], sample.labels["service"], sample.value) == ("nightly", "loadtest", 1.0)
        marks.phase = ""
        prometheus.wait_until(lambda: not prometheus.now(METRIC))
