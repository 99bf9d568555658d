"""The judge's page is served to this machine and its own page alone, and gives nothing else away."""

from __future__ import annotations

import http.client
import io
import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any, BinaryIO, Final, cast
from urllib.parse import urlsplit

import pytest
from PIL import Image

from tests.pipeline.gating.sides import differing
from topfive.ground.errors import ConfigurationError
from topfive_pipeline.gating.blind import Session
from topfive_pipeline.gating.blind_server import BlindServer
from topfive_pipeline.gating.judgements import Store, opened, read

PHOTOS: Final = 3


@dataclass(frozen=True)
class Served:
    """A page that is served, and the file of its judgements."""

    server: BlindServer
    stored: Path

    @property
    def host(self) -> str:
        return urlsplit(self.server.url).netloc

    def ask(
        self, path: str, body: bytes | None = None, *, secret: str | None = None, **headers: str
    ) -> tuple[http.client.HTTPResponse, Any]:
        """The answer, with its JSON or bytes; a body is posted as the page does, unless `headers` say otherwise."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.server_address[1], timeout=30)
        own = {"Host": self.host}
        if body is not None:
            own |= {"Origin": f"http://{self.host}", "Content-Type": "application/json"}
        given = own | {name.replace("_", "-"): value for name, value in headers.items()}
        whole = f"/{self.server.secret if secret is None else secret}/{path}"
        connection.request("GET" if body is None else "POST", whole, body, given)
        response = connection.getresponse()
        content = response.read()
        connection.close()
        return response, json.loads(content) if response.headers["Content-Type"] == "application/json" else content

    def status(self, path: str, body: bytes | None = None, **options: Any) -> int:
        return self.ask(path, body, **options)[0].status


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("judged")
    with opened(folder / "judged.jsonl") as store:
        session = Session(differing(folder, PHOTOS), store, judge="ada")
        with BlindServer(session) as server:
            thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            yield Served(server, folder / "judged.jsonl")
            server.shutdown()
            thread.join()


def test_the_page_may_fetch_from_here_alone(served: Served) -> None:
    response, page = served.ask("")
    assert response.status == 200
    assert b"Which answer is better?" in page
    headers = response.headers
    assert headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert (headers["Referrer-Policy"], headers["Cache-Control"]) == ("no-referrer", "no-store")
    assert not [name for name in headers if name.lower().startswith("access-control")]
    for name, kind in {"judge.js": "text/javascript", "view.js": "text/javascript", "judge.css": "text/css"}.items():
        assert served.ask(name)[0].headers["Content-Type"].startswith(kind)


def test_only_photos_of_the_run_are_served_and_without_what_their_files_tell(served: Served) -> None:
    response, content = served.ask("photo/0")
    assert response.headers["Content-Type"] == "image/jpeg"
    assert Image.open(io.BytesIO(content)).size == (48, 32)
    paths = [
        "photo/3",
        "photo/-1",
        "photo/00000000000",
        "photo/../judged.jsonl",
        "judged.jsonl",
        "photo-1.png",
        "../",
        "nothing",
    ]
    assert {path: served.status(path) for path in paths} == dict.fromkeys(paths, 404)


@pytest.mark.parametrize("secret", ["", "wrong", "%C3%A4"])
def test_without_the_secret_there_is_nothing(served: Served, secret: str) -> None:
    for path in ("", "state", "photo/0"):
        assert served.status(path, secret=secret) == 404
    assert served.status("choice", b'{"number": 0, "choice": "left"}', secret=secret) == 404


@pytest.mark.parametrize("host", ["evil.test", "evil.test:80", "127.0.0.1.evil.test", "localhost@evil.test", ""])
def test_another_hosts_name_is_refused(served: Served, host: str) -> None:
    """As of a page of another site whose name was made to point to this machine."""
    assert served.status("state", Host=host) == 421
    assert served.status("undo", b"{}", Host=host, Origin=f"http://{host}") == 421


def test_a_tunnel_may_end_at_another_port(served: Served) -> None:
    assert served.status("state", Host="localhost:9000") == 200


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b'{"number": 0, "choice": "left"}', {"Origin": "http://evil.test"}, 403),
        (b'{"number": 0, "choice": "left"}', {"Origin": "null"}, 403),
        (b'{"number": 0, "choice": "left"}', {"Content_Type": "text/plain"}, 415),
        (b'{"number": 0, "choice": "left"}', {"Content_Length": "1001"}, 413),
        (b'{"number": 0, "choice": "left"}', {"Content_Length": "-1"}, 411),
        (b'{"number": 0, "choice": "left"}', {"Content_Length": "31", "Transfer_Encoding": "chunked"}, 411),
        (b"[0]", {}, 400),
        (b"{", {}, 400),
        (b"[" * 900, {}, 400),
        (b"\xff", {}, 400),
        (b'{"choice": "left"}', {}, 400),
        (b'{"number": 0, "choice": "best"}', {}, 400),
        (b'{"number": 0, "choice": ["left"]}', {}, 400),
        (b'{"number": 1, "choice": "left"}', {}, 409),
    ],
)
def test_what_is_not_the_pages_own_choice_changes_nothing(
    served: Served, body: bytes, headers: dict[str, str], status: int
) -> None:
    before = served.stored.read_bytes()
    assert served.status("choice", body, **headers) == status
    assert served.stored.read_bytes() == before


def test_a_choice_is_on_the_disk_before_it_is_answered(served: Served) -> None:
    assert served.status("elsewhere", b"{}") == 404
    assert served.status("result") == 409
    assert served.status("undo", b"{}") == 409
    for number in range(PHOTOS):
        response, state = served.ask("choice", json.dumps({"number": number, "choice": "left"}).encode())
        assert (response.status, state["done"]) == (200, number + 1)
        assert len(read(served.stored)) == number + 1
    assert served.ask("undo", b"{}")[1]["done"] == PHOTOS - 1
    served.ask("choice", b'{"number": 2, "choice": "equal"}')
    result = served.ask("result")[1]
    assert len(result["rows"]) == PHOTOS
    assert served.status("undo", b"{}") == 409


def test_a_photo_that_is_gone_is_told(served: Served) -> None:
    path = served.server.session.photo(1).photo.path
    content = path.read_bytes()
    path.write_bytes(b"no picture")
    response, told = served.ask("photo/1")
    path.write_bytes(content)
    assert response.status == 410
    assert told["error"] == f"the photo cannot be read any more ({path.name}); run the gate again"


def test_what_cannot_be_stored_is_told(tmp_path: Path) -> None:
    with Path("/dev/full").open("r+b", buffering=0) as full:
        session = Session(differing(tmp_path, 1), Store(cast(BinaryIO, full)), judge="ada")
        with BlindServer(session) as server:
            thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            response, told = Served(server, tmp_path).ask("choice", b'{"number": 0, "choice": "left"}')
            server.shutdown()
            thread.join()
    assert response.status == 507
    assert "it could not be stored" in told["error"]
    assert session.done == 0


def test_more_connections_than_a_browser_opens_are_closed(served: Served) -> None:
    """And those that are given back can be used again."""
    address = ("127.0.0.1", served.server.server_address[1])
    held = [socket.create_connection(address) for _ in range(20)]
    for each in held:
        each.settimeout(30)
    refused = []
    for each in held[16:]:
        try:
            refused.append(each.recv(1))
        except ConnectionResetError:
            refused.append(b"")
    for each in held:
        each.close()
    assert refused == [b""] * 4


def test_other_methods_are_refused_in_silence(served: Served, capsys: pytest.CaptureFixture[str]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", served.server.server_address[1], timeout=30)
    connection.request("PUT", "/", b"{}")
    assert connection.getresponse().status == 501
    connection.close()
    assert capsys.readouterr().err == ""


def test_of_a_browser_that_leaves_nothing_is_said(served: Served, capsys: pytest.CaptureFixture[str]) -> None:
    for error, is_told in ((BrokenPipeError(), False), (ValueError("a fault"), True)):
        try:
            raise error
        except (OSError, ValueError):
            served.server.handle_error(None, ("127.0.0.1", 1))
        assert ("a fault" in capsys.readouterr().err) == is_told


def test_a_port_that_is_taken_is_refused(served: Served) -> None:
    port = served.server.server_address[1]
    with pytest.raises(ConfigurationError, match=rf"--port {port}: it cannot be used \(.*\); 0 takes a free one"):
        BlindServer(served.server.session, port=port)
