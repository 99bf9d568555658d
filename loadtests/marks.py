"""A metric for Prometheus that names the current phase; Grafana marks the run in its dashboards by it.

It is served on its own port, which deploy/prometheus/prometheus.yml scrapes.
"""

from __future__ import annotations

import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Final, Self

METRIC: Final = "topfive_loadtest_phase"
_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class Marks:
    """Serves `METRIC` until the end of the `with` block, in a thread; port 0 takes a free one."""

    def __init__(self, *, port: int, run: str, host: str = "") -> None:
        marks = self
        self.phase = ""
        self._run = run

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = marks.text().encode()
                self.send_response(HTTPStatus.OK)
                self.send_header("Content-Type", _TYPE)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Log nothing: Prometheus asks every few seconds."""

        self._server = ThreadingHTTPServer((host, port), Handler)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, name="marks")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def text(self) -> str:
        """The metric in Prometheus' format; empty between two phases."""
        head = f"# HELP {METRIC} 1 while the load test measures this.\n# TYPE {METRIC} gauge\n"
        if not self.phase:
            return head
        return f'{head}{METRIC}{{run="{_escaped(self._run)}",phase="{_escaped(self.phase)}"}} 1\n'


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
