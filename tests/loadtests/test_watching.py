"""A real server that is watched: one that lives, is killed, is stopped, refuses, or was never ready."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from benchmarks.server import free_port
from loadtests.liveness import TIMES, Liveness
from loadtests.null_server import NullServer
from loadtests.watching import LIVE, READY, Watch, outcome
from tests.testkit.raw_servers import RawServer, answer

SECONDS = 5.0
SHORT = 0.1  # for a server of which it is known that it will not answer


@dataclass
class Answering(RawServer):
    """A server whose answers to the questions for its health are set."""

    live: bytes = answer(b"")
    ready: bytes = answer(b"")
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    @property
    def url(self) -> str:
        return "http://{}:{}".format(*self.address)

    def serve(self, connection: socket.socket) -> None:
        path = connection.recv(65536).split(b" ")[1].decode()
        self.asked.append(path)
        connection.sendall(self.live if path == LIVE else self.ready)


@pytest.fixture
def server() -> Iterator[Answering]:
    made = Answering()
    yield made
    made.close()


@pytest.mark.untraced
def test_a_process_that_is_stopped_is_silent_and_one_that_is_killed_is_gone() -> None:
    with NullServer() as null:
        url = f"{null.url}{LIVE}"
        assert outcome(url, seconds=SECONDS) == ("answered", "")
        os.kill(null.pid, signal.SIGSTOP)
        assert outcome(url, seconds=SHORT) == ("silent", "no answer within 0.1 s")
        os.kill(null.pid, signal.SIGCONT)
        assert outcome(url, seconds=SECONDS) == ("answered", "")
        os.kill(null.pid, signal.SIGKILL)
        null.wait()
        assert outcome(url, seconds=SECONDS) == ("gone", "connection refused")


def test_half_an_answer_is_none(server: Answering) -> None:
    server.live = answer(b"whole")[:-2]
    assert outcome(f"{server.url}{LIVE}", seconds=SECONDS)[0] == "gone"
    server.live = b""
    assert outcome(f"{server.url}{LIVE}", seconds=SECONDS) == ("gone", "connection broken off without an answer")
    server.live = b"no HTTP at all\r\n\r\n"
    assert outcome(f"{server.url}{LIVE}", seconds=SECONDS)[0] == "gone"


def test_an_unknown_host_is_gone_with_the_reason() -> None:
    seen, told = outcome("http://256.256.256.256/", seconds=SECONDS)
    assert seen == "gone"
    assert told


def test_an_answer_with_another_status_is_told_with_its_body(server: Answering) -> None:
    server.ready = answer(b'{"error":\n"it drains"}', status=503)
    assert outcome(f"{server.url}{READY}", seconds=SECONDS) == ("not ready", '503 {"error": "it drains"}')


def test_the_watch_sees_it_turn_not_ready_and_says_so(server: Answering) -> None:
    said: list[str] = []
    following = Liveness(zero=0.0)
    watch = Watch(server.url, following, say=said.append, clock=iter(range(100)).__next__)
    watch.look()
    server.ready = answer(b"draining", status=503)
    for _ in range(TIMES):
        watch.look()
    assert said == [f"SERVER LOST: the server turned not ready: {READY}: 503 draining, {TIMES} times in a row"]
    assert following.lost is not None
    assert following.lost.at == 2.0  # the clock stands at 0, 1, 2, … at each begin and end


def test_a_refusal_of_the_load_is_no_death(server: Answering) -> None:
    """429 and 503 with a body are answers: to the load they show that it lives, and its health is as it was."""
    following = Liveness(zero=0.0)
    watch = Watch(server.url, following, say=pytest.fail)
    for _ in range(TIMES):
        watch.look()
    assert following.lost is None


def test_what_is_not_good_before_the_load_ends_no_run(server: Answering) -> None:
    server.ready = answer(b"", status=404)
    said: list[str] = []
    following = Liveness(zero=0.0)
    with Watch(server.url, following, say=said.append) as watch:
        for _ in range(TIMES):
            watch.look()
    assert following.lost is None
    assert said == [f"{server.url}{READY} is not 200 before the load: the run is not ended by it later"]


def test_the_thread_itself_says_that_it_is_gone_and_ends() -> None:
    said: list[str] = []
    following = Liveness(zero=0.0)
    with Watch(f"http://127.0.0.1:{free_port()}", following, say=said.append, every_seconds=SHORT) as watch:
        watch.join()
    assert [line.partition(":")[0] for line in said] == ["SERVER LOST"]
    assert following.lost is not None
    assert following.lost.reason.startswith(f"the server is gone: {LIVE}: connection refused")
