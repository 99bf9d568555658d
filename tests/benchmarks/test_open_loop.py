"""The open loop by hand: the command, against any server."""

import pytest

from benchmarks.__main__ import main
from tests.testkit.raw_servers import RawServer


def test_the_command_prints_its_figures_and_its_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    """Against any server; here one whose answers are 200 with nothing in them."""
    server = RawServer()
    host, port = server.address
    options = ["--url", f"http://{host}:{port}", "--rate", "20", "--seconds", "0.3"]
    try:
        main(["open_loop", *options])
    finally:
        server.close()
    printed = capsys.readouterr().out
    assert "accepted p99" in printed
    assert "Verdict: " in printed
