"""What answers by the protocol on the real graphs: the service, Triton, and the service in front of Triton."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import pytest

from benchmarks import tritonserver
from benchmarks.tritonserver import Tritonserver
from tests.testkit.serving_process import ROOT, ServingProcess, serving


@dataclass(frozen=True)
class Target:
    """A server by its two ports."""

    port: int
    grpc_port: int


@pytest.fixture(scope="session")
def triton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tritonserver]:
    """Triton on our repository, as it stands; not to be stopped."""
    if reason := tritonserver.missing():
        pytest.skip(reason)
    with closing(Tritonserver(tmp_path_factory.mktemp("triton"), ROOT / "model_repository")) as server:
        yield server


@pytest.fixture(scope="session")
def floating() -> Iterator[ServingProcess]:
    """The service on the graph that Triton runs, whatever the processor is fast at."""
    with serving("--precision", "fp32") as process:
        yield process


@pytest.fixture(scope="session")
def front_end(triton: Tritonserver) -> Iterator[ServingProcess]:
    """A service whose batches that Triton runs; of two slots, because four take longer to warm up."""
    with serving("--backend", "triton", "--triton-url", triton.url, "--triton-slots", "2") as process:
        yield process


@pytest.fixture(scope="session", params=["embedded", "front end", "triton"])
def target(request: pytest.FixtureRequest, floating: ServingProcess) -> Target:
    """Each of the three."""
    if request.param == "embedded":
        return Target(floating.port, floating.grpc_port)
    if request.param == "triton":
        ports = request.getfixturevalue("triton").ports
        return Target(ports.http, ports.grpc)
    front_end: ServingProcess = request.getfixturevalue("front_end")
    return Target(front_end.port, front_end.grpc_port)
