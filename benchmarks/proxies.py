"""What is the same for every proxy in front of replicas: its process, its deployed file, what its log tells.

The two proxies are `nginx` and `haproxy`; each has how it is started and how its log is read.
"""

import math
import shutil
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.server import POLL_SECONDS, START_SECONDS, Address

REPLICAS = ("127.0.0.1:8101", "127.0.0.1:8102")
"""The addresses in the deployed files, each on the line of one replica."""
HOST = "127.0.0.1"
STOP_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request in a proxy's log. `ended`: Unix time in seconds; `tried`: the replicas in order, "" if not known."""

    ended: float
    seconds: float
    status: int
    tried: Sequence[str]

    @property
    def began(self) -> float:
        return self.ended - self.seconds


class Proxy(ABC):
    """A running proxy on `port`, with its files in `folder`."""

    def __init__(self, folder: Path, *command: str, port: int) -> None:
        self.address = (HOST, port)
        self.folder = folder
        self._output = (folder / "output.log").open("wb")
        self.process = subprocess.Popen(command, stdout=self._output, stderr=subprocess.STDOUT)
        began = time.monotonic()
        while not self._listens():
            if self.process.poll() is not None or time.monotonic() > began + START_SECONDS:
                self.close()
                raise SystemExit(f"{command[0]} did not start:\n{self.errors()}")
            time.sleep(POLL_SECONDS)  # polling another process

    def close(self) -> int:
        """Let the proxy finish its requests, and end; return the exit code."""
        if self.process.poll() is None:
            self.ask_to_end()
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()
        finally:
            self._output.close()

    @classmethod
    def sent_again(cls) -> float:
        """Bytes of the largest request that the deployed file lets it send a second time; inf: of any that it takes."""
        return math.inf

    @abstractmethod
    def ask_to_end(self) -> None:
        """Have the process finish its requests and end."""

    @abstractmethod
    def exchanges(self) -> list[Exchange]:
        """The log of requests; complete once the proxy has ended."""

    @abstractmethod
    def errors(self) -> str:
        """What it had to say beside the log of requests."""

    def output(self) -> list[str]:
        """What the process wrote to its standard output and error."""
        return (self.folder / "output.log").read_text().splitlines()

    def _listens(self) -> bool:
        try:
            socket.create_connection(self.address).close()
        except ConnectionRefusedError:
            return False
        return True


def is_there(program: str) -> bool:
    """Whether the program is installed."""
    return shutil.which(program) is not None


def with_addresses(deployed: Path, text: str, *, replicas: Sequence[Address], listen: tuple[str, str]) -> str:
    """The deployed text with only those lines changed that an operator changes: one for each replica, and the port.

    `listen`: what stands there of the port, and what is to stand there. All replicas get the first one's line.
    """
    for old in (*REPLICAS, listen[0]):
        if text.count(old) != 1:
            raise SystemExit(f"{deployed} has {text.count(old)} times '{old}', not once")
    lines = []
    for line in text.replace(*listen).splitlines():
        if REPLICAS[0] in line:
            for number, (host, port) in enumerate(replicas, 1):
                lines.append(line.replace(REPLICAS[0], f"{host}:{port}").replace("replica1", f"replica{number}"))
        elif REPLICAS[1] not in line:
            lines.append(line)
    return "\n".join(lines) + "\n"


def retried(exchanges: Sequence[Exchange]) -> int:
    """How many requests were sent more than once."""
    return sum(len(one.tried) > 1 for one in exchanges)


def last_use(exchanges: Sequence[Exchange], address: Address, *, since: float, until: float = math.inf) -> float:
    """When a request last began between the two times that went to this replica; `since` if none did.

    A proxy that does not name who failed is taken to have tried the lost one, for it was the only one.
    """
    name = f"{address[0]}:{address[1]}"
    times = (one.began for one in exchanges if name in one.tried or "" in one.tried)
    return max((began for began in times if since <= began < until), default=since)
