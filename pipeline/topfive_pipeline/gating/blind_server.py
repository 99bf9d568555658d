"""Serves the page on which a person judges, to this machine alone: its files, one photo at a time, and what is chosen.

What lives here: HTTP, and what may be asked. What does not: what comes next (`gating.blind`).

Whoever may use this machine can reach its ports, and so can pages of other sites in the judge's browser. So the
address has a secret in it; the host's name must be this machine's (else a name of another site could be made to point
here); what changes something must come from the page itself; a body is short; and of the disk only the page's own files
and the photos of the run can be had, those drawn anew, without their names.
"""

from __future__ import annotations

import hmac
import io
import json
import re
import secrets
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from threading import BoundedSemaphore
from typing import Any, Final

from PIL import Image

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.gating.blind import CHOICES, NotAsked, Session
from topfive_pipeline.proof.photos import Photo, Unreadable

_FOLDER: Final = resources.files("topfive_pipeline.gating") / "blind_page"
_MEDIA_TYPES: Final = {
    "index.html": "text/html; charset=utf-8",
    "judge.css": "text/css; charset=utf-8",
    "judge.js": "text/javascript; charset=utf-8",
    "view.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
_POLICY: Final = (
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
)
_HEADERS: Final = {
    "Content-Security-Policy": "; ".join(_POLICY),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
_HOST: Final = re.compile(r"(127\.0\.0\.1|localhost)(:\d{1,5})?")
_MOST_BODY_BYTES: Final = 1_000
_MOST_CONNECTIONS: Final = 16
"""A browser opens six."""
_IDLE_SECONDS: Final = 30.0
_LONGEST_SIDE: Final = 1_600
"""Pixels of a photo as it is shown."""
_QUALITY: Final = 90
_JSON: Final = "application/json"


class BlindServer(ThreadingHTTPServer):
    """The page of one `session` on `port` of this machine, 0 for any that is free.

    Raises `ConfigurationError` if the port is taken.
    """

    daemon_threads = True
    request_queue_size = 64
    # Where several sockets may share a port, two of these could: each judge would see every second photo.
    allow_reuse_port = False

    def __init__(self, session: Session, *, port: int = 0) -> None:
        self.session: Final = session
        self.secret: Final = secrets.token_urlsafe(12)
        self.files: Final = {name: (_FOLDER / name).read_bytes() for name in _MEDIA_TYPES}
        self._places = BoundedSemaphore(_MOST_CONNECTIONS)
        try:
            super().__init__(("127.0.0.1", port), _Handler)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            raise ConfigurationError(f"--port {port}: it cannot be used ({reason}); 0 takes a free one") from error

    @property
    def url(self) -> str:
        """The address of the page."""
        return f"http://127.0.0.1:{self.server_address[1]}/{self.secret}/"

    def process_request(self, request: Any, client_address: Any) -> None:
        """Begin a connection, unless there are too many."""
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a connection, in its thread."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that leaves is none of ours; the rest is told as usual."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Refused(Exception):
    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


class _Handler(BaseHTTPRequestHandler):
    server: BlindServer
    protocol_version = "HTTP/1.1"
    server_version = "topfive"
    sys_version = ""
    timeout = _IDLE_SECONDS

    def do_GET(self) -> None:
        self._answer(self._got)

    def do_POST(self) -> None:
        self._answer(self._posted)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its name in the base class
        """Nothing: the terminal is the judge's, and an idle connection that ends is no news."""

    def _answer(self, work: Callable[[str], tuple[str, bytes]]) -> None:
        status = HTTPStatus.OK
        try:
            kind, content = work(self._path())
        except _Refused as refused:
            status = refused.status
            kind, content = _JSON, json.dumps({"error": str(refused)}).encode()
            self.close_connection = True  # of a body that is not wanted nothing is read
        self.send_response(status)
        for name, value in {**_HEADERS, "Content-Type": kind, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)

    def _path(self) -> str:
        """The path behind the secret; raises `_Refused` if this is nobody that the address was shown to."""
        if len(hosts := self.headers.get_all("Host", [])) != 1 or not _HOST.fullmatch(hosts[0]):
            raise _Refused(HTTPStatus.MISDIRECTED_REQUEST, "ask by the name 127.0.0.1 or localhost")
        _, _, behind = self.path.partition("/")
        secret, _, path = behind.partition("/")
        if not hmac.compare_digest(secret.encode(), self.server.secret.encode()):
            raise _Refused(HTTPStatus.NOT_FOUND, "there is nothing here: use the whole address that was printed")
        return path

    def _got(self, path: str) -> tuple[str, bytes]:
        name = path or "index.html"
        if name in self.server.files:
            return _MEDIA_TYPES[name], self.server.files[name]
        if path == "state":
            return _as_json(self.server.session.state())
        if path == "result":
            try:
                return _as_json(self.server.session.result())
            except NotAsked:
                raise _Refused(HTTPStatus.CONFLICT, "photos are left to judge") from None
        if found := re.fullmatch(r"photo/(\d{1,9})", path):
            return self._photo(int(found[1]))
        raise _Refused(HTTPStatus.NOT_FOUND, "there is no such file")

    def _photo(self, number: int) -> tuple[str, bytes]:
        with suppress(IndexError):
            return "image/jpeg", drawn(self.server.session.photo(number).photo)
        raise _Refused(HTTPStatus.NOT_FOUND, "there is no photo of this number")

    def _posted(self, path: str) -> tuple[str, bytes]:
        if path not in {"choice", "undo"}:
            raise _Refused(HTTPStatus.NOT_FOUND, "there is nothing to send this to")
        given = self._body()
        session = self.server.session
        try:
            if path == "undo":
                return _as_json(session.undo())
            number, choice = given.get("number"), CHOICES.get(str(given.get("choice")))
            if not isinstance(number, int) or choice is None:
                raise _Refused(HTTPStatus.BAD_REQUEST, "say number, and choice: left, right, equal or neither")
            return _as_json(session.choose(number, choice))
        except NotAsked:
            raise _Refused(HTTPStatus.CONFLICT, "another photo is asked for; load the page again") from None
        except OSError as error:
            why = f"it could not be stored ({error.strerror or error}); make room, and choose again"
            raise _Refused(HTTPStatus.INSUFFICIENT_STORAGE, why) from error

    def _body(self) -> dict[str, object]:
        """What the page sent: short JSON, from this very page."""
        if self.headers.get("Origin") != f"http://{self.headers['Host']}":
            raise _Refused(HTTPStatus.FORBIDDEN, "only the page itself may choose")
        if self.headers.get_content_type() != _JSON:
            raise _Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"send {_JSON}")
        length = self.headers.get("Content-Length", "")
        if not re.fullmatch(r"\d{1,9}", length) or "Transfer-Encoding" in self.headers:
            raise _Refused(HTTPStatus.LENGTH_REQUIRED, "say how long the body is")
        if int(length) > _MOST_BODY_BYTES:
            raise _Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a body has at most {_MOST_BODY_BYTES} bytes")
        try:
            given = json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError):
            given = None
        if not isinstance(given, dict):
            raise _Refused(HTTPStatus.BAD_REQUEST, "send a JSON object")
        return given


def drawn(photo: Photo) -> bytes:
    """The photo as JPEG, upright, at most 1600 pixels long: what every browser shows, with nothing of its file."""
    try:
        image = photo.image()
    except Unreadable as error:
        raise _Refused(
            HTTPStatus.GONE, f"the photo cannot be read any more ({photo.name}); run the gate again"
        ) from error
    image.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=_QUALITY)
    return buffer.getvalue()


def _as_json(document: Mapping[str, object]) -> tuple[str, bytes]:
    return _JSON, json.dumps(document).encode()
