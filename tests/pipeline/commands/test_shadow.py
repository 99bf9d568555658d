"""`topfive shadow report` as somebody types it, on a service's metrics in a file and over the wire."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from tests.pipeline.commands.conftest import Run as Runs
from tests.testkit.raw_servers import RawServer, answer
from topfive.observe.metrics import Metrics
from topfive_pipeline.commands.shadow import main

KEY = "a-key-of-sixteen-characters"


def metrics() -> bytes:
    own = Metrics()
    shadow = own.trials.shadow("lite", "lite:2")
    for agrees in (True,) * 7 + (False,):
        shadow.compared(agrees=agrees, change=0.03, overlap=0.8)
        shadow.took(live=0.02, shadow=0.03)
    shadow.dropped("full", 2)
    return own.exposition()


class Served(RawServer):
    """A service with a key that tells of its shadow."""

    def serve(self, connection: socket.socket) -> None:
        head = connection.recv(65536)
        if KEY.encode() not in head:
            connection.sendall(answer(b"{}", status=401))
            return
        one = {
            "request_id": "look-at-me",
            "image": 0,
            "live": [{"label": "cat", "probability": 0.9}],
            "shadow": [],
            "seconds_ago": 3.0,
        }
        told = {"shadow": {"model": "lite", "target": "lite:2", "disagreements": [one]}, "canary": None}
        connection.sendall(answer(metrics() if b"GET /metrics" in head else json.dumps(told).encode()))


def test_a_running_service_is_asked_for_its_counts_and_its_disagreements(run: Runs, tmp_path: Path) -> None:
    server = Served()
    url = f"http://127.0.0.1:{server.address[1]}"
    (tmp_path / "key").write_text(KEY)
    try:
        ran = run(main, "report", url, "--key-file", str(tmp_path / "key"))
        refused = run(main, "report", url)
    finally:
        server.close()
    assert (ran.code, ran.err) == (0, "")
    assert "'lite:2' has the same first label as 'lite' for 87.50% of 8 images" in ran.words
    assert "full 2" in ran.words
    assert "look-at-me 0 cat 0.90 no label 3" in ran.words
    assert refused.code == 2
    assert "answers with status 401; name a file with its key: --key-file" in refused.err


def test_metrics_in_a_file_do_and_programs_get_json(run: Runs, tmp_path: Path) -> None:
    file = tmp_path / "metrics.txt"
    file.write_bytes(metrics())
    ran = run(main, "report", str(file), "--json")
    (document,) = json.loads(ran.out)
    assert (ran.code, document["agreed"], document["compared"], document["dropped"]) == (0, 7, 8, {"full": 2})
    assert document["sentence"].startswith("'lite:2' has the same first label")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["compare"], "there is no 'compare'; there is report"),
        (["report", "http://127.0.0.1:9"], "http://127.0.0.1:9 does not answer"),
        (["report", "ftp://host"], "is no URL of a service"),
        (["report", "no/such/file"], "No such file"),
    ],
)
def test_what_cannot_be_asked_is_told(run: Runs, arguments: list[str], message: str) -> None:
    ran = run(main, *arguments)
    assert ran.code == 2
    assert message in ran.err


def test_a_service_without_a_shadow_is_told_how_to_set_one(run: Runs, tmp_path: Path) -> None:
    (tmp_path / "metrics").write_bytes(Metrics().exposition())
    ran = run(main, "report", str(tmp_path / "metrics"))
    assert ran.code == 2
    assert "tells of no shadow; set one: TOPFIVE_SHADOW=" in ran.err
