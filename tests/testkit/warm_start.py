"""Services that start warm: forks of one process that has imported all that `python -m topfive` imports.

Imports take most of a start, and a run of the tests starts some two hundred services. A fork goes on where the imports
end: it runs the same `__main__`, with the flags, the environment and the standard files that a new process would have.

What lives here: the process that forks (`python -m tests.testkit.warm_start`), and how it is asked. What does not: when
a start must be cold, which `serving_process` knows.
"""

from __future__ import annotations

import atexit
import functools
import gc
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final

import coverage

_ROOT: Final = Path(__file__).resolve().parents[2]
_MOST_BYTES: Final = 1 << 20
"""Of a request: flags and environment."""


class WarmProcess:
    """A service, with what is asked of a `subprocess.Popen` for it; its words are in `stdout`, or go to `output`."""

    def __init__(
        self, flags: Sequence[str], environment: Mapping[str, str], *, detached: bool = False, output: int | None = None
    ) -> None:
        self.stdout: IO[str] | None = None
        if output is None:
            ours, theirs = os.pipe()
            self.stdout = os.fdopen(ours, encoding="utf-8")
        else:
            theirs = os.dup(output)
        self._news, news = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        request = json.dumps({"flags": flags, "environment": dict(environment), "detached": detached}).encode()
        with news:
            socket.send_fds(_forker(), [request], [theirs, news.fileno()])
        os.close(theirs)
        self.returncode: int | None = None
        self.pid = int(self._news.recv(_MOST_BYTES))

    def poll(self) -> int | None:
        """The exit code, as `Popen` has it, if it has ended."""
        try:
            return self.wait(0.0)
        except subprocess.TimeoutExpired:
            return None

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, once it has ended; raises `subprocess.TimeoutExpired`."""
        if self.returncode is None:
            self._news.settimeout(timeout)
            try:
                self.returncode = int(self._news.recv(_MOST_BYTES))
            except (TimeoutError, BlockingIOError):
                raise subprocess.TimeoutExpired("topfive", timeout or 0.0) from None
            self._news.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it has not ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)


@functools.cache
def _forker() -> socket.socket:
    """The connection to the process that forks, which ends when the tests do."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("TOPFIVE_", "COVERAGE_"))}
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.testkit.warm_start", str(theirs.fileno())],
            cwd=_ROOT,
            env=environment,
            pass_fds=[theirs.fileno()],
        )
    atexit.register(_end, ours, process)
    return ours


def _end(forker: socket.socket, process: subprocess.Popen[bytes]) -> None:
    forker.close()
    process.wait()


def _fork_as_asked(asked: socket.socket, environment: Mapping[str, str]) -> None:
    """Answer requests until there can be none; returns in this process, and in each that was a service.

    `environment` is what imports have set, which each service would have too.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that wait for the services
    while True:
        message, files, _, _ = socket.recv_fds(asked, _MOST_BYTES, 2)
        if not message:
            return
        output, news = files
        if os.fork() == 0:
            asked.close()
            _keep(json.loads(message), environment, output, socket.socket(fileno=news))
            return
        os.close(output)
        os.close(news)


def _keep(request: dict[str, Any], environment: Mapping[str, str], output: int, news: socket.socket) -> None:
    """Fork the service, tell its process id and then its exit code; returns in the service when that has ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    if service := os.fork():
        os.close(output)
        news.send(str(service).encode())
        _, status = os.waitpid(service, 0)
        news.send(str(os.waitstatus_to_exitcode(status)).encode())
        os._exit(0)
    news.close()
    if request["detached"]:
        os.setsid()
    for number in (1, 2):
        os.dup2(output, number)
    os.close(output)
    os.environ.clear()
    os.environ.update(request["environment"] | environment)
    coverage.process_startup()  # as the start of Python does, if the environment asks for it
    sys.argv = ["topfive", *request["flags"]]
    runpy.run_module("topfive", run_name="__main__", alter_sys=True)


def _main() -> None:
    before = dict(os.environ)
    import onnxruntime  # noqa: F401  # what is asked for later in a start, too

    import topfive.process.main  # noqa: F401

    gc.collect()
    gc.freeze()
    set_by_imports = {name: value for name, value in os.environ.items() if before.get(name) != value}
    _fork_as_asked(socket.socket(fileno=int(sys.argv[1])), set_by_imports)


if __name__ == "__main__":
    _main()
