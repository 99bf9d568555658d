"""Debian's nginx as a process, with the file that is deployed.

What lives here: the configuration around `deploy/nginx.conf`, ports put into it, start, stop, and what its log says.
"""

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.server import POLL_SECONDS, ROOT, START_SECONDS, Address

DEPLOYED = ROOT / "deploy" / "nginx.conf"
REPLICAS, LISTEN = ("127.0.0.1:8101", "127.0.0.1:8102"), "listen 8080;"  # what is put in place of, in that file

# All paths in the folder given with -p, so that neither root nor Debian's own configuration is needed.
AROUND = """
daemon off;
pid nginx.pid;
error_log error.log error;
events {}
http {
    client_body_temp_path body;
    proxy_temp_path       proxy;
    fastcgi_temp_path     fastcgi;
    uwsgi_temp_path       uwsgi;
    scgi_temp_path        scgi;
    include               topfive.conf;
    access_log            access.log topfive;
}
"""


def is_there() -> bool:
    """Whether nginx is installed."""
    return shutil.which("nginx") is not None


class Nginx:
    """A running nginx with its files in `folder`, on `port`: by `site`, its whole configuration of sites."""

    def __init__(self, folder: Path, *, site: str, port: int) -> None:
        self.address = ("127.0.0.1", port)
        self._folder = folder
        folder.chmod(0o755)  # its workers, which are not root, write there
        (folder / "nginx.conf").write_text(AROUND)
        (folder / "topfive.conf").write_text(site)
        command = ("nginx", "-p", str(folder), "-c", "nginx.conf", "-e", "error.log")
        self._process = subprocess.Popen(command)
        began = time.monotonic()
        while not self._listens():
            if self._process.poll() is not None or time.monotonic() > began + START_SECONDS:
                self.close()
                raise SystemExit(f"nginx did not start:\n{self.errors()}")
            time.sleep(POLL_SECONDS)  # another process can only be asked again

    def close(self) -> int:
        """Let it answer what it has, and end; the exit code."""
        if self._process.poll() is None:
            subprocess.run(
                ("nginx", "-p", str(self._folder), "-c", "nginx.conf", "-e", "error.log", "-s", "quit"), check=True
            )
        return self._process.wait(START_SECONDS)

    def requests(self) -> list[dict[str, Any]]:
        """Its log of requests; whole once it has ended."""
        return [json.loads(line) for line in (self._folder / "access.log").read_text().splitlines()]

    def errors(self) -> str:
        """Its log of errors."""
        return (self._folder / "error.log").read_text()

    def _listens(self) -> bool:
        try:
            socket.create_connection(self.address).close()
        except ConnectionRefusedError:
            return False
        return True


def with_ports(text: str, *, replicas: Sequence[Address], port: int) -> str:
    """The deployed file with the lines changed that an operator changes, and nothing else."""
    new = [f"{host}:{number}" for host, number in replicas] + [f"listen 127.0.0.1:{port};"]
    for old, wanted in zip([*REPLICAS, LISTEN], new, strict=True):
        if text.count(old) != 1:
            raise SystemExit(f"{DEPLOYED} has {text.count(old)} times '{old}', not once")
        text = text.replace(old, wanted)
    return text


def retried(requests: Sequence[dict[str, Any]]) -> int:
    """How many requests went to more than one replica."""
    return sum("," in one["upstream"] for one in requests)
