"""The tritonserver of tests and benchmarks: what it is made of, and what is left of it."""

import os
import sys
from contextlib import closing
from pathlib import Path

import pytest

from benchmarks import tritonserver
from benchmarks.tritonserver import Ports, Tritonserver, parts
from benchmarks.tritonserver.process import EPHEMERAL, SHARED_MEMORY
from tests.testkit.tiny_models import CLASSIFIER_CONFIG, classifier_graph, write_model

only_on_linux = pytest.mark.skipif(sys.platform != "linux", reason="it runs on Linux only")


@only_on_linux
def test_what_is_missing_is_said_with_what_to_do_about_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(parts.HOME, str(tmp_path))
    assert "make setup-triton" in tritonserver.missing()
    found = parts.Parts.find()
    found.server.parent.mkdir(parents=True)
    found.server.touch()
    assert f"cannot run Python {parts.PYTHON}" in tritonserver.missing()
    found.stub.parent.mkdir(parents=True)
    found.stub.touch()
    monkeypatch.setattr(parts, "LIBPYTHON", "libpython0.so")
    assert "apt-get install libpython" in tritonserver.missing()
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    assert "x86_64 only" in tritonserver.missing()


@only_on_linux
def test_its_ports_are_not_those_of_outgoing_connections() -> None:
    """So that none is taken while the server is down."""
    ports = Ports.free()
    assert len({ports.http, ports.grpc, ports.metrics}) == 3
    assert max(ports.http, ports.grpc, ports.metrics) < int(EPHEMERAL.read_text().split()[0])


@pytest.mark.skipif(bool(tritonserver.missing()), reason=tritonserver.missing())
def test_a_killed_server_leaves_no_shared_memory(tmp_path: Path) -> None:
    write_model(tmp_path / "models", "m", CLASSIFIER_CONFIG, classifier_graph())
    with closing(Tritonserver(tmp_path / "triton", tmp_path / "models")) as server:
        assert [*SHARED_MEMORY.glob(f"tritonserver-{os.getpid()}-{server.port}-*")]
        server.kill()
        assert not [*SHARED_MEMORY.glob(f"tritonserver-{os.getpid()}-{server.port}-*")]
