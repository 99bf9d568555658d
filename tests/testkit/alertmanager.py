"""Debian's Alertmanager as a process, with the configuration that is deployed; and amtool, which reads it as it does.

What lives here: the configuration with another receiver and shorter waits, what it holds. What does not: start and
stop (`testkit.daemon`), what must be so (`tests/deploy/`).
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.request import urlopen

import pytest
import yaml

from benchmarks.server import free_port
from tests.testkit.daemon import DEADLINE_SECONDS, Daemon
from tests.testkit.serving_process import ROOT

CONFIG: Final = ROOT / "deploy" / "alertmanager" / "alertmanager.yml"
_PROGRAM: Final = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
_AT_ONCE: Final = {"group_wait": "0s", "group_interval": "1s"}

needs_alertmanager: Final = pytest.mark.skipif(
    not (_PROGRAM and shutil.which("amtool")),
    reason="there is no Alertmanager: apt-get install prometheus-alertmanager",
)


def amtool(*arguments: str | Path) -> str:
    """What amtool prints; it must be content."""
    done = subprocess.run(["amtool", *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def with_receiver(config: Any, url: str) -> Any:
    """The deployed configuration with what an operator changes: who is told, and how long alerts are gathered."""
    found = json.loads(json.dumps(config))
    for receiver in found["receivers"]:
        for webhook in receiver["webhook_configs"]:
            webhook["url"] = url
    found["route"] |= _AT_ONCE
    return found


class Alertmanager(Daemon):
    """It tells the webhook at `receiver`, with its files in `folder`."""

    def __init__(self, folder: Path, *, receiver: str) -> None:
        config = with_receiver(yaml.safe_load(CONFIG.read_text(encoding="utf-8")), receiver)
        (folder / "alertmanager.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
        self.address: Final = f"127.0.0.1:{free_port()}"
        command = [
            str(_PROGRAM),
            f"--config.file={folder / 'alertmanager.yml'}",
            f"--storage.path={folder / 'data'}",
            f"--web.listen-address={self.address}",
            "--cluster.listen-address=",
        ]
        super().__init__(command, url=f"http://{self.address}", folder=folder)

    def states(self) -> Mapping[str, str]:
        """By the name of each alert that it holds, `active` or `suppressed`."""
        with urlopen(f"{self.url}/api/v2/alerts", timeout=DEADLINE_SECONDS) as answer:
            return {alert["labels"]["alertname"]: alert["status"]["state"] for alert in json.loads(answer.read())}
