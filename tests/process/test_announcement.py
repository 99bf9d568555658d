"""A person at a terminal is told once, when it is true, where the service is and what it serves; programs read JSON."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.testkit.serving_process import READY, ROOT, ServingProcess
from tests.testkit.stored_models import served_precision
from topfive.process.announcement import AnnouncedModel, Announcement, is_last_of

COMMAND: Final = (sys.executable, "-m", "topfive", "--port", "0", "--grpc-port", "0")
DEADLINE_SECONDS: Final = 60.0
PRECISION: Final = served_precision(ROOT / "model_repository", "efficientnet_lite0_classify")
ESCAPE: Final = re.compile(r"\x1b\[[0-9;]*m")


class Terminal:
    """The service at a terminal, and what can be read there."""

    def __init__(self, *flags: str, **environment: str) -> None:
        master, slave = pty.openpty()
        self._master = master
        self.process = subprocess.Popen(
            [*COMMAND, *flags], cwd=ROOT, stdin=slave, stdout=slave, stderr=slave, env={**os.environ, **environment}
        )
        os.close(slave)
        self.screen = ""

    def read_until(self, text: str) -> None:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while text not in self.screen:
            assert time.monotonic() < deadline, self.screen
            self._read()

    def end(self) -> None:
        self.process.send_signal(signal.SIGINT)
        with contextlib.suppress(OSError):  # the other side is closed
            while True:
                self._read()
        assert self.process.wait(timeout=DEADLINE_SECONDS) == 0

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._master)

    def _read(self) -> None:
        self.screen += os.read(self._master, 1 << 16).decode().replace("\r\n", "\n")


@contextlib.contextmanager
def terminal(*flags: str, **environment: str) -> Iterator[Terminal]:
    opened = Terminal(*flags, **environment)
    try:
        yield opened
    finally:
        opened.close()


def test_at_a_terminal_lines_are_for_people_and_the_banner_comes_when_it_is_ready() -> None:
    with terminal(TERM="xterm", NO_COLOR="") as shown:
        shown.read_until("Ctrl-C\n")
        text = ESCAPE.sub("", shown.screen)
        shown.end()
    assert text != shown.screen[: len(text)]  # it had colours
    assert text.count("topfive 0.") == 1
    assert text.index(READY) < text.index("topfive 0.")
    url = re.findall(r"page +(http://127\.0\.0\.1:\d+)/\n", text)[0]
    assert f"curl --data-binary @photo.jpg {url}/v1/classify" in text
    assert re.search(r"gRPC +127\.0\.0\.1:[1-9]\d*\n", text)
    assert re.search(rf"model +efficientnet_lite0, version 1, {PRECISION} on ONNX Runtime\n", text)
    assert "_resize, version" not in text
    assert '{"' not in text
    assert "Traceback" not in shown.screen


def test_several_worker_processes_say_it_once() -> None:
    with terminal("--workers", "2", "--backend", "null", NO_COLOR="1") as shown:
        shown.read_until("Ctrl-C\n")
        shown.end()
    assert shown.screen.count("topfive 0.") == 1
    assert "\x1b" not in shown.screen
    assert shown.screen[: shown.screen.index("topfive 0.")].count(READY) == 2


def test_json_at_a_terminal_for_who_wants_it() -> None:
    with terminal("--log-format", "json", "--backend", "null") as shown:
        shown.read_until("classifying at")
        shown.end()
    assert all(json.loads(line) for line in shown.screen.splitlines() if line != "^C")


def test_programs_get_the_same_facts_in_one_line(service: ServingProcess) -> None:
    line = json.loads(service.wait_for_log("classifying at"))
    assert line["url"].endswith(f":{service.port}")
    assert line["models"] == [
        {"name": "efficientnet_lite0", "version": 1, "precision": PRECISION, "engine": "onnxruntime"}
    ]
    assert line["cores"] >= 1


@pytest.mark.parametrize("needs_key", [False, True])
def test_what_to_type_works_as_it_stands(needs_key: bool) -> None:
    said = Announcement(
        "http://h:1", "", {"m": AnnouncedModel(3, "", "")}, 2, listens_everywhere=True, needs_key=needs_key
    )
    text = said.text()
    assert ("Authorization: Bearer" in text) == needs_key
    assert "gRPC" not in text
    assert "m, version 3\n" in text
    assert "all addresses" in text


def test_an_engine_that_was_chosen_is_named() -> None:
    models = {"m": AnnouncedModel(1, "BF16", "openvino"), "n": AnnouncedModel(2, "INT8", "")}
    said = Announcement("http://h:1", "", models, 2, listens_everywhere=False, needs_key=False)
    assert "m, version 1, BF16 on OpenVINO\n" in said.text()
    assert "n, version 2, INT8\n" in said.text()


def test_of_several_workers_the_last_is_told_so_once(tmp_path: Path) -> None:
    assert [is_last_of(3, tmp_path, pid) for pid in (1, 2, 2, 3, 3, 4)] == [False, False, False, True, False, False]
    assert len(list(tmp_path.iterdir())) == 4


def test_a_folder_that_cannot_be_written_to_is_no_failure(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert not is_last_of(1, tmp_path / "gone", 1)
    assert "cannot be told" in caplog.text
