"""Debian's Alertmanager as a process, with the configuration that is deployed; and amtool, which reads it as it does.

What lives here: the configuration with another receiver and shorter waits, start, stop, what it holds. What does not:
what must be so (`tests/deploy/`).
"""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.request import urlopen

import pytest
import yaml

from benchmarks.server import free_port
from tests.testkit.serving_process import ROOT

CONFIG: Final = ROOT / "deploy" / "alertmanager" / "alertmanager.yml"
_PROGRAM: Final = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
_DEADLINE_SECONDS: Final = 60.0
_PAUSE_SECONDS: Final = 0.02
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


class Alertmanager:
    """It tells the webhook at `receiver`, with its files in `folder`; ready once constructed."""

    def __init__(self, folder: Path, *, receiver: str) -> None:
        config = with_receiver(yaml.safe_load(CONFIG.read_text(encoding="utf-8")), receiver)
        (folder / "alertmanager.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
        self.address: Final = f"127.0.0.1:{free_port()}"
        self._log = folder / "log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    str(_PROGRAM),
                    f"--config.file={folder / 'alertmanager.yml'}",
                    f"--storage.path={folder / 'data'}",
                    f"--web.listen-address={self.address}",
                    "--cluster.listen-address=",
                ],
                stdout=log,
                stderr=log,
            )
        try:
            self.wait_until(self._is_ready)
        except BaseException:  # also an interrupt or a timeout of the test: the process must not outlive it
            self.stop()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(_DEADLINE_SECONDS)

    def states(self) -> Mapping[str, str]:
        """By the name of each alert that it holds, `active` or `suppressed`."""
        with urlopen(f"http://{self.address}/api/v2/alerts", timeout=_DEADLINE_SECONDS) as answer:
            return {alert["labels"]["alertname"]: alert["status"]["state"] for alert in json.loads(answer.read())}

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Ask again and again until `condition` holds."""
        deadline = time.monotonic() + _DEADLINE_SECONDS
        while not condition():
            assert self._process.poll() is None, self._log.read_text(encoding="utf-8")
            assert time.monotonic() < deadline, f"{condition} never came true"
            threading.Event().wait(_PAUSE_SECONDS)

    def _is_ready(self) -> bool:
        try:
            with urlopen(f"http://{self.address}/-/ready", timeout=_DEADLINE_SECONDS) as answer:
                return bool(answer.status == 200)
        except OSError:  # it does not listen yet
            return False
