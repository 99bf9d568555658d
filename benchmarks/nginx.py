"""Runs Debian's nginx as a process, with the deployed configuration, `deploy/nginx.conf`.

It adds the configuration around that file, puts ports into it, starts, stops, and reads nginx' logs.
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
REPLICAS, LISTEN = ("127.0.0.1:8101", "127.0.0.1:8102"), "listen 8080;"  # the parts of that file that are replaced

# All paths are in the folder given with -p, so that it needs neither root nor Debian's own configuration.
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
    """A running nginx on `port`, with its files in `folder`; `site` is its whole configuration of sites."""

    def __init__(self, folder: Path, *, site: str, port: int) -> None:
        self.address = ("127.0.0.1", port)
        self._folder = folder
        folder.chmod(0o755)  # its workers write there, and are not root
        (folder / "nginx.conf").write_text(AROUND)
        (folder / "topfive.conf").write_text(site)
        command = ("nginx", "-p", str(folder), "-c", "nginx.conf", "-e", "error.log")
        self._process = subprocess.Popen(command)
        began = time.monotonic()
        while not self._listens():
            if self._process.poll() is not None or time.monotonic() > began + START_SECONDS:
                self.close()
                raise SystemExit(f"nginx did not start:\n{self.errors()}")
            time.sleep(POLL_SECONDS)  # polling another process

    def close(self) -> int:
        """Let nginx finish its requests, and end; return the exit code."""
        if self._process.poll() is None:
            subprocess.run(
                ("nginx", "-p", str(self._folder), "-c", "nginx.conf", "-e", "error.log", "-s", "quit"), check=True
            )
        return self._process.wait(START_SECONDS)

    @property
    def pid(self) -> int:
        """Of the process whose children do the work."""
        return self._process.pid

    def requests(self) -> list[dict[str, Any]]:
        """The log of requests; complete once nginx has ended."""
        return [json.loads(line) for line in (self._folder / "access.log").read_text().splitlines()]

    def errors(self) -> str:
        """The log of errors."""
        return (self._folder / "error.log").read_text()

    def _listens(self) -> bool:
        try:
            socket.create_connection(self.address).close()
        except ConnectionRefusedError:
            return False
        return True


def with_ports(text: str, *, replicas: Sequence[Address], port: int) -> str:
    """The deployed file with only those lines changed that an operator changes."""
    new = [f"{host}:{number}" for host, number in replicas] + [f"listen 127.0.0.1:{port};"]
    for old, wanted in zip([*REPLICAS, LISTEN], new, strict=True):
        if text.count(old) != 1:
            raise SystemExit(f"{DEPLOYED} has {text.count(old)} times '{old}', not once")
        text = text.replace(old, wanted)
    return text


def retried(requests: Sequence[dict[str, Any]]) -> int:
    """How many requests went to more than one replica."""
    return sum("," in one["upstream"] for one in requests)
