"""Alertmanager takes its deployed configuration, tells who must know, and holds back what follows from something else.

Prometheus, Alertmanager, the receiver of `deploy/notices` and a service that refuses everything: all of them run.
"""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final
from urllib.request import urlopen

import pytest
import yaml

from benchmarks.server import free_port
from tests.testkit.alertmanager import CONFIG, Alertmanager, amtool, needs_alertmanager, with_receiver
from tests.testkit.container_files import SERVICES
from tests.testkit.prometheus import Prometheus, needs_prometheus
from tests.testkit.serving_process import RAW, ROOT, classify_path, serving
from tests.testkit.tiny_models import HIGHEST_VALUE, write_tiny_repository

NOTICES: Final = ROOT / "deploy" / "notices" / "notices.py"
FATAL: Final = bytes([HIGHEST_VALUE + 1]) * 72
"""An image of 4 x 6 pixels that the tiny model fails on."""
DOWN: Final = {"alertname": "TargetDown", "severity": "critical", "service": "a", "instance": "a1"}


class Notices:
    """`deploy/notices/notices.py` as its container runs it, and the lines that it wrote."""

    def __init__(self, folder: Path) -> None:
        self.port: Final = free_port()
        self._written = folder / "notices"
        self._errors = folder / "errors"
        with self._written.open("wb") as written, self._errors.open("wb") as errors:
            command = [sys.executable, "-I", "-S", str(NOTICES), str(self.port)]
            self.process = subprocess.Popen(command, stdout=written, stderr=errors)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    @property
    def lines(self) -> list[str]:
        return self._written.read_text(encoding="utf-8").splitlines()

    @property
    def errors(self) -> str:
        return self._errors.read_text(encoding="utf-8")

    def post(self, body: bytes, **headers: str) -> int:
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            connection.request("POST", "/", body, headers)
            return connection.getresponse().status

    def is_ready(self) -> bool:
        try:
            with urlopen(self.url, timeout=60) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def close(self) -> None:
        self.process.terminate()
        assert self.process.wait(60) == 0


@pytest.fixture
def notices(tmp_path: Path) -> Iterator[Notices]:
    with closing(Notices(tmp_path)) as started:
        while not started.is_ready():
            assert started.process.poll() is None, started.errors
        yield started


@needs_alertmanager
def test_alertmanager_takes_the_configuration() -> None:
    assert "SUCCESS" in amtool("check-config", CONFIG)


@needs_alertmanager
def test_it_takes_the_receivers_that_the_comment_shows(tmp_path: Path) -> None:
    """Each in the place of the one that is there."""
    text = CONFIG.read_text(encoding="utf-8")
    shown = "\n".join(line.removeprefix("  #   ") for line in text.splitlines() if line.startswith("  #   "))
    receivers = yaml.safe_load(shown)
    assert list(receivers) == ["slack_configs", "pagerduty_configs", "email_configs"]
    config = yaml.safe_load(text)
    for receiver in config["receivers"]:
        del receiver["webhook_configs"]
        receiver.update(receivers)
    assert "/run/secrets/" in shown
    assert not re.search(r"_(key|url|password): ", shown), "what is secret belongs into a file"
    file = tmp_path / "alertmanager.yml"
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    assert "SUCCESS" in amtool("check-config", file)


@needs_alertmanager
@pytest.mark.parametrize("severity", ["critical", "warning"])
def test_an_alert_goes_to_the_receiver_of_its_severity(severity: str) -> None:
    told = amtool("config", "routes", "test", f"--config.file={CONFIG}", f"severity={severity}", "service=a")
    assert told.strip() == severity


def test_the_default_receiver_is_the_container_that_listens_there() -> None:
    config = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    urls = {webhook["url"] for receiver in config["receivers"] for webhook in receiver["webhook_configs"]}
    (port,) = re.findall(r"^PORT = (\d+)$", NOTICES.read_text(encoding="utf-8"), re.MULTILINE)
    assert urls == {f"http://notices:{port}/"}
    assert f"127.0.0.1:{port}" in str(SERVICES["notices"]["healthcheck"]["test"])
    assert SERVICES["notices"]["entrypoint"][-1] == "/opt/notices/notices.py"


def test_only_what_an_operator_changes_is_changed_for_the_tests() -> None:
    deployed = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    changed = with_receiver(deployed, "http://127.0.0.1:1/")
    assert [name for name in deployed if deployed[name] != changed[name]] == ["route", "receivers"]
    waits = {"group_wait", "group_interval"}
    assert {name for name in deployed["route"] if deployed["route"][name] != changed["route"][name]} == waits


def test_what_is_no_message_is_refused_and_the_next_is_taken(notices: Notices) -> None:
    for body in (b"", b"{", b"[]", b'{"alerts": [{"status": "firing"}]}', b'{"alerts": 3}'):
        assert notices.post(body) == 400
    assert notices.post(b"", **{"Content-Length": str(2 << 20)}) == 413
    alert = {"status": "firing", "labels": {"alertname": "A"}, "annotations": {"summary": "two\nlines"}}
    assert notices.post(json.dumps({"alerts": [alert]}).encode()) == 200
    assert notices.lines == ["firing A: two lines"]
    assert notices.errors.count("no message of Alertmanager's") == 5


@needs_prometheus
@needs_alertmanager
def test_who_must_know_is_told_with_a_link_that_leads_to_what_to_do(tmp_path: Path, notices: Notices) -> None:
    """A service that fails on all that it is asked."""
    for name in ("tiny", "prometheus", "alertmanager"):
        (tmp_path / name).mkdir()
    tiny = write_tiny_repository(tmp_path / "tiny")
    with (
        Alertmanager(tmp_path / "alertmanager", receiver=notices.url) as alertmanager,
        serving("--model-repository", str(tiny)) as service,
    ):
        targets = {"topfive": {"service": f"127.0.0.1:{service.port}"}}
        folder = tmp_path / "prometheus"
        with Prometheus(folder, targets, alertmanager=alertmanager.address, waits=False) as prometheus:

            def refused() -> float:
                return prometheus.number('max(topfive:requests_missed:sum{objective="availability"})')

            def ask() -> None:
                answer = service.ask("POST", classify_path(height=4, width=6), FATAL, {"Content-Type": RAW})
                assert answer.status == 500

            ask()
            prometheus.wait_until(lambda: refused() == 1)
            for _ in range(20):
                ask()
            prometheus.wait_until(lambda: any(" TopfiveUnavailable " in line for line in notices.lines))
            (line,) = [line for line in notices.lines if " TopfiveUnavailable " in line]
            head, _, link = line.rpartition(" ")
            assert head == "firing critical TopfiveUnavailable service: service leaves too many requests unanswered"
            page, _, anchor = link.partition("#")
            assert page.startswith(prometheus.url)
            with urlopen(page, timeout=60) as answer:
                assert f'<h2 id="{anchor}">TopfiveUnavailable</h2>' in answer.read().decode()


@needs_alertmanager
def test_what_follows_from_something_else_is_held_back(tmp_path: Path) -> None:
    """Of the instance that is down and the warnings of its service; never a critical alert of the service."""
    held_back = [
        {"alertname": "TopfiveNotReady", "severity": "critical", "service": "a", "instance": "a1"},
        {"alertname": "TopfiveQueueWait", "severity": "warning", "service": "a", "model": "m"},
        {"alertname": "TopfiveSlowlyTooSlow", "severity": "warning", "service": "b", "objective": "latency"},
    ]
    told = [
        DOWN,
        {"alertname": "TopfiveUnavailable", "severity": "critical", "service": "a", "objective": "availability"},
        {"alertname": "TopfiveSlow", "severity": "critical", "service": "b", "objective": "latency"},
        {"alertname": "TopfiveLosingRequests", "severity": "warning", "service": "b", "objective": "availability"},
        {"alertname": "TopfiveBatchFailures", "severity": "warning", "service": "b", "model": "m"},
    ]
    with Alertmanager(tmp_path, receiver="http://127.0.0.1:1/") as alertmanager:
        for alert in told + held_back:
            labels = [f"{name}={value}" for name, value in alert.items()]
            amtool("alert", "add", f"--alertmanager.url=http://{alertmanager.address}", *labels)

        def states() -> Any:
            return alertmanager.states()

        expected = {alert["alertname"]: "active" for alert in told}
        expected |= {alert["alertname"]: "suppressed" for alert in held_back}
        alertmanager.wait_until(lambda: states() == expected)
