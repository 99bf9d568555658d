"""The receiver of alerts until there is another: it writes a line for each alert that Alertmanager sends.

`docker compose logs notices` shows them. It needs nothing beyond Python itself, and answers GET for its health check.
"""

import json
import signal
import sys
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PORT = 9095
_MAX_BYTES = 1 << 20
_SECONDS = 10.0


def lines(message: Any) -> Iterator[str]:
    """A line for each alert of a message of Alertmanager's webhook (version 4); raises if it is another message."""
    for alert in message["alerts"]:
        labels, notes = alert["labels"], alert["annotations"]
        said = (
            alert["status"],
            labels.get("severity", ""),
            f"{labels['alertname']} {labels.get('service', '')}".rstrip() + ":",
            notes.get("summary", ""),
            notes.get("runbook_url", ""),
        )
        yield " ".join(" ".join(said).split())


class Handler(BaseHTTPRequestHandler):
    """POST writes the alerts; GET says that this runs."""

    timeout = _SECONDS

    def do_GET(self) -> None:
        """Answer the health check."""
        self._answer(HTTPStatus.OK)

    def do_POST(self) -> None:
        """Write what comes; 400 if it is no message of Alertmanager's, which Alertmanager then logs."""
        length = int(self.headers.get("content-length", 0))
        if length > _MAX_BYTES:
            self._answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            return
        try:
            told = list(lines(json.loads(self.rfile.read(length))))
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            sys.stderr.write(f"this is no message of Alertmanager's: {error!r}\n")
            self._answer(HTTPStatus.BAD_REQUEST)
            return
        sys.stdout.writelines(f"{line}\n" for line in told)
        sys.stdout.flush()
        self._answer(HTTPStatus.OK)

    def log_message(self, *arguments: object) -> None:
        """Write no line for each request."""

    def _answer(self, status: HTTPStatus) -> None:
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()


def main(port: int) -> None:
    """Receive until SIGTERM; as the first process of a container it would else ignore that."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    with ThreadingHTTPServer(("", port), Handler) as server:
        server.serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else PORT)
