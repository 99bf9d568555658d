"""The real proxies with the files that are deployed: what they send again, and what they never do."""

from __future__ import annotations

import http.client
import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType

import pytest

from benchmarks import haproxy, nginx, proxies
from benchmarks.haproxy import HAProxy
from benchmarks.nginx import Nginx
from benchmarks.proxies import Exchange
from benchmarks.replicas import PROXIES
from benchmarks.server import Address, free_port

REPLICAS = [("127.0.0.1", 11), ("127.0.0.1", 12), ("127.0.0.1", 13)]
BODY_BYTES = 3_000_000
"""As much as a photo of a phone."""


@pytest.mark.parametrize(
    ("module", "lines"),
    [
        (nginx, [["server", f"127.0.0.1:{port}"] for port in (11, 12, 13)]),
        (haproxy, [["server", f"replica{number}"] for number in (1, 2, 3)]),
    ],
)
def test_only_the_lines_that_an_operator_changes_are_changed(module: ModuleType, lines: list[list[str]]) -> None:
    """A line for each replica and the port; every other line of the file is used as it is deployed."""
    deployed = module.DEPLOYED.read_text().splitlines()
    changed = module.with_addresses(module.DEPLOYED.read_text(), replicas=REPLICAS, port=14).splitlines()
    new = [line.split() for line in changed if line not in deployed]
    assert [words[:2] for words in new if words[0] == "server"] == lines
    assert [words for words in new if words[0] != "server"] in (
        [["listen", "127.0.0.1:14;"]],
        [["bind", "127.0.0.1:14"]],
    )
    assert len([line for line in deployed if line not in changed]) == 3


@pytest.mark.parametrize("module", [nginx, haproxy])
def test_a_file_without_those_lines_is_refused(module: ModuleType) -> None:
    with pytest.raises(SystemExit, match=r"0 times '\w+ :?8080;?'"):
        module.with_addresses(module.DEPLOYED.read_text().replace("8080", "80"), replicas=REPLICAS, port=13)


def test_what_went_to_two_replicas_was_tried_again() -> None:
    found = [Exchange(0.0, 0.0, 200, tried) for tried in ([], ["a:1"], ["a:1", "b:2"], ["", "b:2"])]
    assert proxies.retried(found) == 2


def test_the_last_use_of_a_lost_replica_is_when_a_request_began_that_tried_it() -> None:
    """Also of a proxy that does not name who failed; what began after the replica was back does not count."""
    found = [
        Exchange(5.0, 1.0, 200, ["a:1"]),
        Exchange(9.0, 2.0, 200, ["", "b:2"]),
        Exchange(9.5, 0.5, 200, ["b:2"]),
        Exchange(12.0, 1.0, 200, ["a:1"]),
    ]
    assert proxies.last_use(found, ("a", 1), since=3.0, until=10.0) == 7.0
    assert proxies.last_use(found, ("a", 1), since=8.0, until=10.0) == 8.0


def test_the_logs_of_both_are_read_alike() -> None:
    line = {"ended": 9.5, "total_seconds": 0.5, "status": 200, "upstream": "a:1, b:2"}
    assert nginx.read(json.dumps(line)) == Exchange(9.5, 0.5, 200, ["a:1", "b:2"])
    assert nginx.read(json.dumps(line | {"upstream": "topfive"})).tried == []
    line = {"ended": 9500, "total_milliseconds": 500, "status": 200, "upstream": "b:2", "retries": "+1"}
    assert haproxy.read(json.dumps(line)) == Exchange(9.5, 0.5, 200, ["", "b:2"])
    assert haproxy.read(json.dumps(line | {"upstream": "-:-", "retries": "0"})).tried == []


class Replica(ThreadingHTTPServer):
    """Answers every POST with the status in its path, until `good` is set; counts them."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Asked)
        self.good = False
        self.asked: Counter[str] = Counter()
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    @property
    def at(self) -> Address:
        return "127.0.0.1", self.server_address[1]


class _Asked(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Replica

    def do_GET(self) -> None:
        self._answer(200)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked[self.path] += 1
        status = 200 if self.server.good else int(self.path.rsplit("/", 1)[1])
        if not status:
            self.close_connection = True  # as a process that dies while it computes
            return
        self._answer(status, str(len(body)).encode())

    def log_message(self, *_: object) -> None:
        """Nothing."""

    def _answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture(params=["nginx", "haproxy"])
def front(request: pytest.FixtureRequest) -> Iterator[tuple[Nginx | HAProxy, list[Replica]]]:
    """The deployed proxy before two replicas, neither of them good."""
    module = {"nginx": nginx, "haproxy": haproxy}[request.param]
    if not proxies.is_there(module.PROGRAM):
        pytest.skip(f"there is no {module.PROGRAM}: apt-get install {module.PACKAGE}")
    replicas = [Replica(), Replica()]
    with ExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory())  # in which nginx' workers, who are not root, may write
        proxy = PROXIES[request.param].before(Path(folder), replicas=[one.at for one in replicas], port=free_port())
        stack.enter_context(closing(proxy))
        yield proxy, replicas
    for replica in replicas:
        replica.shutdown()
        replica.server_close()


def post(proxy: Nginx | HAProxy, path: str, nbytes: int = 10) -> tuple[int, bytes]:
    with closing(http.client.HTTPConnection(*proxy.address, timeout=30)) as connection:
        connection.request("POST", path, bytes(nbytes))
        answer = connection.getresponse()
        return answer.status, answer.read()


@pytest.mark.parametrize(("status", "attempts"), [(429, 1), (500, 1), (504, 1), (422, 1), (503, 2)])
def test_what_means_too_much_work_is_never_sent_twice(
    front: tuple[Nginx | HAProxy, list[Replica]], status: int, attempts: int
) -> None:
    """A refusal for overload is the client's to know; one of a replica that drains is another replica's to answer."""
    proxy, replicas = front
    path = f"/v1/classify/{status}"
    assert post(proxy, path)[0] == status
    assert sum(one.asked[path] for one in replicas) == attempts


@pytest.mark.parametrize("status", [503, 0])
def test_a_photo_is_sent_again_to_the_other_replica(front: tuple[Nginx | HAProxy, list[Replica]], status: int) -> None:
    """Whole, whether the first one drains (503) or dies in the middle of its work (closes without an answer).

    HAProxy's is as large as its file promises, but for the head.
    """
    proxy, (bad, good) = front
    nbytes = int(min(BODY_BYTES, proxy.sent_again() - 1000))
    good.good = True
    try:
        path = f"/again/{status}"
        for _ in range(60):
            assert post(proxy, path, nbytes) == (200, str(nbytes).encode())
        assert bad.asked[path] >= 1
        assert good.asked[path] == 60
    finally:
        good.good = False


def test_what_belongs_to_one_replica_is_not_passed_on(front: tuple[Nginx | HAProxy, list[Replica]]) -> None:
    proxy, _ = front
    for path in ("/metrics", "/v2/repository/index"):
        assert post(proxy, path)[0] == 404


def test_where_all_fail_little_is_sent_twice(front: tuple[Nginx | HAProxy, list[Replica]]) -> None:
    """HAProxy has a budget; nginx leaves replicas alone that fail. Both have sent less than half as much again."""
    proxy, replicas = front
    path = "/all/503"
    for _ in range(60):
        assert post(proxy, path)[0] in {502, 503}
    assert sum(one.asked[path] for one in replicas) <= 90
