"""Network namespaces: each replica is a machine of its own, which can be unplugged.

A bridge in the machine's own network joins them. What is unplugged loses every packet, in both directions, and says
nothing: no reset, no refusal. It needs root, and `ip` of iproute2.
"""

import os
import shutil
import subprocess
import threading
from collections.abc import Sequence

from benchmarks.server import Address

PORT = 8000
"""The same on every machine, as in a cluster."""
_numbers = iter(range(100))
_numbering = threading.Lock()


def missing() -> str | None:
    """Why there can be no namespaces here; None if there can."""
    if shutil.which("ip") is None:
        return "there is no ip; on Debian and Ubuntu: apt-get install iproute2"
    name = f"topfive-try-{os.getpid()}"
    tried = subprocess.run(("ip", "netns", "add", name), capture_output=True, text=True, check=False)
    if tried.returncode:
        return f"network namespaces may not be made here: {tried.stderr.strip()}"
    _ip("netns", "del", name)
    return None


class Network:
    """A bridge, and machines on it; gone after `close`."""

    def __init__(self, machines: int) -> None:
        with _numbering:
            number = next(_numbers)
        self._name = f"t{os.getpid()}n{number}"  # an interface's name has at most 15 letters
        # 198.18.0.0/15 is for tests between networks (RFC 2544), so that it meets no real one.
        self._net = f"198.18.{(os.getpid() + 7 * number) % 256}"
        self._count = 0
        try:
            _ip("link", "add", self._name, "type", "bridge")
            _ip("address", "add", f"{self._net}.1/24", "dev", self._name)
            _ip("link", "set", self._name, "up")
            for index in range(machines):
                self._add(index)
        except BaseException:  # also an interrupt, wherever it comes: what was made would stay on the machine
            self.close()
            raise

    def close(self) -> None:
        """Remove everything; what still runs in a namespace keeps it, without a cable."""
        for index in range(self._count):
            _remove("link", self._cable(index))  # at once; with the namespace alone it would go a little later
            _remove("netns", self._space(index))
        self._count = 0
        _remove("link", self._name)

    def address(self, index: int) -> Address:
        """Where a server on this machine is to listen."""
        return f"{self._net}.{index + 11}", PORT

    def inside(self, index: int) -> Sequence[str]:
        """The command that runs the rest of its arguments on this machine."""
        return "ip", "netns", "exec", self._space(index)

    def unplug(self, index: int) -> None:
        """Pull the cable: packets vanish."""
        _ip("link", "set", self._cable(index), "down")

    def plug(self, index: int) -> None:
        """Put the cable back."""
        _ip("link", "set", self._cable(index), "up")

    def _space(self, index: int) -> str:
        return f"{self._name}-{index}"

    def _cable(self, index: int) -> str:
        return f"{self._name}v{index}"

    def _add(self, index: int) -> None:
        space, cable = self._space(index), self._cable(index)
        self._count += 1
        _ip("netns", "add", space)
        _ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", space)
        _ip("link", "set", cable, "master", self._name, "up")
        _ip("-n", space, "address", "add", f"{self.address(index)[0]}/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            _ip("-n", space, "link", "set", device, "up")


def _ip(*arguments: str) -> None:
    done = subprocess.run(("ip", *arguments), capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"ip {' '.join(arguments)}: {done.stderr.strip()}")


def _remove(kind: str, name: str) -> None:
    """Remove what may not have been made yet."""
    done = subprocess.run(("ip", kind, "del", name), capture_output=True, text=True, check=False)
    if done.returncode and not any(said in done.stderr for said in ("Cannot find", "No such file")):
        raise SystemExit(f"ip {kind} del {name}: {done.stderr.strip()}")
