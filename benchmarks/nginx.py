"""Runs Debian's nginx as a process, with the deployed configuration, `deploy/nginx.conf`.

It adds the configuration around that file, starts it, and reads its logs.
"""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from benchmarks import proxies
from benchmarks.proxies import HOST, Exchange
from benchmarks.server import ROOT, Address

PROGRAM, PACKAGE = "nginx", "nginx-light"
DEPLOYED = ROOT / "deploy" / "nginx.conf"

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
    return proxies.is_there(PROGRAM)


class Nginx(proxies.Proxy):
    """A running nginx on `port`, with its files in `folder`; `site` is its whole configuration of sites."""

    def __init__(self, folder: Path, *, site: str, port: int) -> None:
        folder.chmod(0o755)  # its workers write there, and are not root
        (folder / "nginx.conf").write_text(AROUND)
        (folder / "topfive.conf").write_text(site)
        super().__init__(folder, *self._command(folder), port=port)

    @classmethod
    def before(cls, folder: Path, *, replicas: Sequence[Address], port: int, deployed: str | None = None) -> Self:
        """The deployed file, or the text given for it, before these replicas."""
        return cls(
            folder, site=with_addresses(deployed or DEPLOYED.read_text(), replicas=replicas, port=port), port=port
        )

    def ask_to_end(self) -> None:
        subprocess.run((*self._command(self.folder), "-s", "quit"), check=True)

    def exchanges(self) -> list[Exchange]:
        return [read(line) for line in (self.folder / "access.log").read_text().splitlines()]

    def errors(self) -> str:
        return (self.folder / "error.log").read_text()

    @staticmethod
    def _command(folder: Path) -> Sequence[str]:
        return PROGRAM, "-p", str(folder), "-c", "nginx.conf", "-e", "error.log"


def with_addresses(text: str, *, replicas: Sequence[Address], port: int) -> str:
    """The deployed text before these replicas."""
    return proxies.with_addresses(DEPLOYED, text, replicas=replicas, listen=("listen 8080;", f"listen {HOST}:{port};"))


def read(line: str) -> Exchange:
    """One line of the log; a request that no replica could be found for has the upstream's name."""
    found = json.loads(line)
    tried = [one for one in found["upstream"].split(", ") if ":" in one]
    return Exchange(found["ended"], found["total_seconds"], found["status"], tried)
