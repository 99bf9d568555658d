"""The port of the gRPC server: taken by nobody else, found for those who share it, refused with what to do."""

from __future__ import annotations

import socket
from typing import Final

import pytest
from tritonclient.grpc import service_pb2 as pb

from tests.testkit.rpc import Channel, channel_to
from tests.testkit.serving_process import ServingProcess, serving

LISTENING: Final = "gRPC listening on"


def is_ready(channel: Channel) -> bool:
    return bool(channel.ask("ServerReady").read(pb.ServerReadyResponse).ready)


def complaint(*flags: str) -> str:
    """The one line that is left of a process that refused to start."""
    with ServingProcess("--backend", "null", *flags) as process:
        assert process.wait() == 2, process.log
        log = list(process.log)
    assert "Traceback" not in "".join(log)
    (line,) = [line for line in log if line.startswith("topfive: ") or '"level":"critical"' in line]
    return line


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_port_in_use_is_refused_with_what_to_do(workers: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        line = complaint("--grpc-port", port, "--workers", workers)
    assert [word for word in (f"port {port}", "--grpc-port", "--no-grpc") if word not in line] == []


@pytest.mark.parametrize(("first", "second"), [("service", "2"), ("several", "1"), ("several", "2")])
def test_two_services_do_not_share_a_port(first: str, second: str, request: pytest.FixtureRequest) -> None:
    """Not even those whose own processes do: clients of the one would get to the other."""
    port: int = request.getfixturevalue(first).grpc_port
    assert "--grpc-port" in complaint("--grpc-port", str(port), "--workers", second)


def test_it_can_be_left_out() -> None:
    with serving("--backend", "null", "--no-grpc") as process:
        assert process.stop() == 0
        assert LISTENING not in "".join(process.log)


def test_it_can_listen_on_ipv6() -> None:
    with serving("--backend", "null", "--host", "::1") as process:
        assert f"{LISTENING} [::1]:" in process.wait_for_log(LISTENING)
        with Channel(f"[::1]:{process.grpc_port}") as channel:
            assert is_ready(channel)


def test_worker_processes_share_one_port_that_was_found_for_them(several: ServingProcess) -> None:
    """Each of many clients is answered, whichever process it gets to, and nobody before its models are warm."""
    lines = {several.wait_for_log(LISTENING, count=count).split(LISTENING)[1] for count in (1, 2)}
    assert len(lines) == 1
    for _ in range(20):
        with channel_to(several) as channel:
            assert is_ready(channel)
