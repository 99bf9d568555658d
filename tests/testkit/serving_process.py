"""The service as clients and operators meet it: a process, its port, its log.

What lives here: starting and stopping `python -m topfive`, asking it over real sockets, waiting for its log lines.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlencode

from tests.testkit.warm_start import WarmProcess

ROOT: Final = Path(__file__).resolve().parents[2]
RAW: Final = "application/octet-stream"
READY: Final = "the service is ready"
_DEADLINE_SECONDS: Final = 60.0
"""For whatever is waited for; far above what anything takes, so that only a hang reaches it."""
_READ_LATE: Final = ("TOPFIVE_", "OTEL_", "COVERAGE_", "AWS_")
"""How variables begin that a start reads when all has been imported."""

Body = bytes | Iterable[bytes] | None


@dataclass(frozen=True)
class Answer:
    """What came back for one request."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def labels(self) -> list[str]:
        return [prediction["label"] for prediction in self.json["predictions"]]

    def assert_error(self, status: int, code: str) -> str:
        """Assert that this is the error `code`, in the shape of all errors; its message."""
        assert (self.status, self.json.get("code")) == (status, code), self
        assert set(self.json) == {"error", "code"}
        assert self.headers["content-type"] == "application/json"
        message: str = self.json["error"]
        assert message
        return message


def ask(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    body: Body = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """One request and its whole answer on `connection`, which stays open."""
    connection.request(method, path, body, dict(headers or {}))
    return _read(connection.getresponse())


def _read(response: http.client.HTTPResponse) -> Answer:
    return Answer(response.status, response.headers, response.read())


class HeldRequest:
    """A request whose body is still on its way.

    `Expect: 100-continue` makes the service say when it begins to read the body: what it refuses by the head alone is
    behind it then.
    """

    def __init__(self, service: ServingProcess, path: str, body: bytes, content_type: str) -> None:
        self._rest = memoryview(body)  # a slice of bytes would copy what is left at every part
        self.socket = service.open_socket()
        self.socket.sendall(
            f"POST {path} HTTP/1.1\r\nHost: test\r\nContent-Type: {content_type}\r\n"
            f"Content-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n".encode()
        )
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            part = self.socket.recv(1)
            assert part, head
            head += part
        assert head.startswith(b"HTTP/1.1 100 "), head

    def send(self, count: int | None = None) -> None:
        """Send the next `count` bytes of the body, or all that are left."""
        part = self._rest[:count]
        self._rest = self._rest[len(part) :]
        self.socket.sendall(part)

    def answer(self) -> Answer:
        """The answer, once it has come."""
        with self.socket:
            return read_answer(self.socket)


def read_answer(connection: socket.socket) -> Answer:
    """The whole answer on a raw connection on which no other can have come."""
    return AnswerReader(connection).next()


class AnswerReader(io.BufferedReader):
    """Reads the answers on one raw connection, one after the other, however many have come."""

    def __init__(self, connection: socket.socket) -> None:
        super().__init__(connection.makefile("rb", buffering=0))

    def next(self) -> Answer:
        """The next whole answer."""
        response = http.client.HTTPResponse(self)  # type: ignore[arg-type]  # of a socket, it only asks `makefile`
        response.begin()
        return _read(response)

    def rest(self) -> bytes:
        """What is left, until the service closes: in order, or by reset."""
        received = b""
        with contextlib.suppress(ConnectionResetError):
            while part := self.read1():
                received += part
        return received

    def makefile(self, mode: str) -> Self:
        return self

    def close(self) -> None:
        """Stay open: the response calls it at its end."""

    def finish(self) -> None:
        """Let go of the connection."""
        super().close()


class ServingProcess:
    """`python -m topfive` on free ports, unless `flags` say others; ends with the `with` block at the latest.

    `detached` starts it without a terminal, whether the tests have one or not. It starts warm, unless that could make a
    difference: `cold` says so, and so do variables that imports may read, and `through`, a command that starts it.
    """

    def __init__(
        self,
        *flags: str,
        environment: Mapping[str, str] | None = None,
        detached: bool = False,
        cold: bool = False,
        through: Sequence[str] = (),
    ) -> None:
        own = dict(environment or {})
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("TOPFIVE_")}
        flags = ("--port", "0", "--grpc-port", "0", *flags)
        self._process: subprocess.Popen[str] | WarmProcess
        if cold or through or sys.platform != "linux" or not all(name.startswith(_READ_LATE) for name in own):
            self._process = subprocess.Popen(
                [*through, sys.executable, "-m", "topfive", *flags],
                cwd=ROOT,
                env=inherited | own,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=detached,
            )
        else:
            self._process = WarmProcess(flags, inherited | own, detached=detached)
        self.log: list[str] = []
        self._ended = False
        self._news = threading.Condition()
        self._reading = threading.Lock()
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self.stop()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def port(self) -> int:
        found = re.search(r"listening on https?://\S+:(\d+)", self.wait_for_log("listening on http"))
        assert found is not None
        return int(found[1])

    @property
    def grpc_port(self) -> int:
        found = re.search(r"gRPC listening on \S+:(\d+)", self.wait_for_log("gRPC listening on"))
        assert found is not None
        return int(found[1])

    @property
    def grpc_address(self) -> str:
        return f"127.0.0.1:{self.grpc_port}"

    def wait_for_log(self, text: str, *, count: int = 1) -> str:
        """The line that holds `text` for the `count`th time, once it is there."""

        def matches() -> list[str]:
            return [line for line in self.log if text in line]

        with self._news:
            self._news.wait_for(lambda: len(matches()) >= count or self._ended, _DEADLINE_SECONDS)
            assert len(matches()) >= count, f"no line {count} with {text!r} in:\n{''.join(self.log)}"
            return matches()[count - 1]

    @contextmanager
    def unread(self) -> Iterator[None]:
        """Meanwhile nobody reads its log."""
        with self._reading:
            yield

    def signal(self, number: int) -> None:
        """Send the process a signal."""
        self._process.send_signal(number)

    def wait(self) -> int:
        """The exit code, once the process has ended and its log is whole."""
        code = self._process.wait(_DEADLINE_SECONDS)
        self._reader.join(_DEADLINE_SECONDS)
        return code

    def stop(self) -> int:
        """End it as an operator would; kill it if it does not obey. The exit code."""
        self.signal(signal.SIGTERM)
        try:
            return self.wait()
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise

    def open_socket(self) -> socket.socket:
        """A raw connection."""
        return socket.create_connection(("127.0.0.1", self.port), _DEADLINE_SECONDS)

    @contextmanager
    def connect(self) -> Iterator[http.client.HTTPConnection]:
        """A connection that is kept alive, for `ask`."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_DEADLINE_SECONDS)
        try:
            yield connection
        finally:
            connection.close()

    def ask(self, method: str, path: str, body: Body = None, headers: Mapping[str, str] | None = None) -> Answer:
        """One request on a connection of its own."""
        with self.connect() as connection:
            return ask(connection, method, path, body, headers)

    def classify(self, body: Body, content_type: str = RAW, /, **query: object) -> Answer:
        """One `POST /v1/classify` on a connection of its own."""
        return self.ask("POST", classify_path(**query), body, {"Content-Type": content_type})

    def metric(self, name: str, **labels: str) -> float:
        """The sum of the samples of `name` that carry `labels`."""
        pattern = re.compile(rf"^{name}(?:\{{(.*)\}})? (\S+)$", re.MULTILINE)
        wanted = {f'{key}="{value}"' for key, value in labels.items()}
        samples = pattern.findall(self.ask("GET", "/metrics").body.decode())
        return sum(float(value) for found, value in samples if wanted <= set(found.split(",")))

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Ask again and again until `condition` holds: for state that only its metrics show."""
        deadline = time.monotonic() + _DEADLINE_SECONDS
        while not condition():
            assert time.monotonic() < deadline, f"{condition} never came true"

    def _read_log(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                with self._reading, self._news:
                    self.log.append(line)
                    self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()


@contextmanager
def serving(*flags: str, environment: Mapping[str, str] | None = None, cold: bool = False) -> Iterator[ServingProcess]:
    """A service that is ready."""
    with ServingProcess(*flags, environment=environment, cold=cold) as service:
        service.wait_for_log(READY)
        yield service


def classify_path(**query: object) -> str:
    """`/v1/classify` with a query string."""
    return "/v1/classify" + ("?" + urlencode(query) if query else "")
