"""Clients whose messages are wrong: bytes that are not HTTP, broken HTTP, and spoilt bodies.

Each kind is a function as in `nasty`. The service must explain each refusal in its error format.
"""

import gzip
import io
import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from random import Random
from typing import Final
from urllib.parse import quote

from PIL import Image

from benchmarks import mutations, oip, repositories
from benchmarks.nasty import Nastiness, Victim
from benchmarks.wire import Wire
from topfive_loadgen.http1 import render

BOMB_MEGABYTES = 200
CRLF = b"\r\n\r\n"
HOST = b"Host: a\r\n"
CLASSIFY = b"POST /v1/classify?height=2&width=2 HTTP/1.1\r\n" + HOST + b"Content-Type: application/octet-stream\r\n"

NOT_HTTP: Final = (
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),  # TLS
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(50),
    b"SSH-2.0-OpenSSH_9.2\r\n",
    b"GET / HTTP/0.9\r\n\r\n",
    b"GET /\r\n\r\n",
    b"\r\n" * 1000,
    b"\x00" * 1000,
    b"EHLO example.org\r\n",
)
BROKEN_HTTP: Final = (
    b"GET /v2/health/live HTTP/9.9\r\n" + HOST + b"\r\n",
    b"G\xffT /v2/health/live HTTP/1.1\r\n" + HOST + b"\r\n",
    b"GET /v2/health/live HTTP/1.1\r\nHost a\r\n\r\n",
    b"GET /v2/health/live HTTP/1.1\r\nHost : a\r\n\r\n",
    b"GET /v2/health/live HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
    b"GET /v2/health/live HTTP/1.1\r\nX\x00Y: a\r\n\r\n",
    b"GET /v2/health/live HTTP/1.1\nHost: a\n\n",
    CLASSIFY + b"Content-Length: -5" + CRLF,
    CLASSIFY + b"Content-Length: 1_2" + CRLF + bytes(12),
    CLASSIFY + b"Content-Length: +12" + CRLF + bytes(12),
    CLASSIFY + b"Content-Length: 12\r\nContent-Length: 13" + CRLF + bytes(13),
    CLASSIFY + b"Content-Length: 99999999999999999999999" + CRLF + bytes(12),
    CLASSIFY + b"Content-Length: 12\r\nTransfer-Encoding: chunked" + CRLF + b"0\r\n\r\n",
    CLASSIFY + b"Transfer-Encoding: zip" + CRLF + bytes(12),
    CLASSIFY + b"Transfer-Encoding: chunked" + CRLF + b"XYZ\r\n" + bytes(12),
    CLASSIFY + b"Transfer-Encoding: chunked" + CRLF + b"fffffffffffffffff\r\n" + bytes(12),
    CLASSIFY + b"Transfer-Encoding: chunked" + CRLF + b"-1\r\n" + bytes(12),
    CLASSIFY + b"Transfer-Encoding: chunked" + CRLF + b"c\r\n" + bytes(12) + b"no end of the chunk\r\n",
)
TARGETS: Final = (
    *(b"/%00", b"//", b"/../../etc/passwd", b"*", b"http://a/v2/health/live", b"/\xff\xfe", b"/%", b"/v1/classify/"),
    *(b"/" + b"a" * 20_000, b"/v1/classify?" + b"a=1&" * 5000, b"/v2/models/" + b"a" * 5000 + b"/infer"),
    *(b"/v1/classify?height=2&height=2", b"/v1/classify?width=%ff"),
    *(b"/v2/models/%2e%2e/infer", b"/v2/models/a/versions/1_0/infer"),
)
CONTROL_BODY: Final = {"ready": True, "parameters": {"unload_dependents": False, "config": "{}", "file:1/a": "AA=="}}
EVERYTHING: Final = {
    "id": "é",
    "outputs": [{"name": "classes", "parameters": {"binary_data": True}}, {"name": "indices"}],
    "parameters": {"timeout": 5_000_000, "priority": 1, "own": "é"},
}
METHODS: Final = (b"GET", b"POST", b"PUT", b"DELETE", b"PATCH", b"OPTIONS", b"TRACE", b"CONNECT")
CONTROL: Final = ("/v2/repository/index", "/v2/repository/models/nobody/load", "/v2/repository/models/nobody/unload")


def not_http(victim: Victim, chance: Random) -> Sequence[str]:
    """Send random bytes, or another protocol."""
    return raw(victim, chance.choice((chance.randbytes(chance.choice((1, 100, 100_000))), *NOT_HTTP)))


def broken_http(victim: Victim, chance: Random) -> Sequence[str]:
    """Send a request that breaks a rule of HTTP/1.1, or with mutated bytes."""
    mutated = mutations.mutate_bytes(victim.any_message(chance), chance)
    return raw(victim, chance.choice((mutated, *BROKEN_HTTP)))


def odd_target(victim: Victim, chance: Random) -> Sequence[str]:
    """Send paths, queries and methods that the service does not serve."""
    method, target = chance.choice(METHODS), chance.choice(TARGETS)
    return raw(victim, method + b" " + target + b" HTTP/1.1\r\n" + HOST + b"Content-Length: 0\r\n\r\n")


def head_method(victim: Victim, chance: Random) -> Sequence[str]:
    """Send HEAD to any path."""
    path = chance.choice(("/v2/health/live", "/v2/health/ready", "/v1/classify", "/metrics", "/nothing"))
    with Wire(victim.address) as wire:
        wire.send(render("HEAD", path))
        return [wire.status_only()]


def spoilt_file(victim: Victim, chance: Random) -> Sequence[str]:
    """Send an image file with changed bytes, or under another name."""
    media_type = chance.choice(("image/jpeg", "image/png", "image/webp", "image/gif", "image/bmp", "image/tiff"))
    body = chance.choice((jpeg(), mutations.mutate_bytes(jpeg(), chance)))
    return post(victim, f"/v1/classify?model={victim.model}", body, Content_Type=media_type)


def image_bomb(victim: Victim, chance: Random) -> Sequence[str]:
    """Send a small file that claims to be a huge image."""
    body = mutations.enlarge_png(png(), chance)
    return post(victim, f"/v1/classify?model={victim.model}", body, Content_Type="image/png")


def spoilt_raw(victim: Victim, chance: Random) -> Sequence[str]:
    """Send raw pixels with a wrong, odd or huge size."""
    numbers = [quote(number) for number in (*mutations.NUMBERS, b"2", b"2", b"65535", b"4294967296")]
    query = f"height={chance.choice(numbers)}&width={chance.choice(numbers)}"
    extra = chance.choice(("", "", "&count=" + chance.choice(("0", "2", "1000000", "x")), "&model=x", "&timeout_ms=0"))
    media_type = chance.choice(("application/octet-stream", "application/octet-stream", "text/html", "", "a" * 5000))
    body = chance.randbytes(chance.choice((0, 11, 12, 13, 5000)))
    return post(victim, f"/v1/classify?{query}{extra}", body, Content_Type=media_type)


def spoilt_form(victim: Victim, chance: Random) -> Sequence[str]:
    """Send a mutated form, or one without its boundary."""
    part = b'--b\r\nContent-Disposition: form-data; name="image"\r\nContent-Type: image/jpeg\r\n\r\n'
    body = mutations.mutate_bytes(part + jpeg() + b"\r\n--b--\r\n", chance)
    boundary = chance.choice(("; boundary=b", "; boundary=b", "", "; boundary=" + "b" * 500, "; boundary="))
    return post(victim, f"/v1/classify?model={victim.model}", body, Content_Type=f"multipart/form-data{boundary}")


def spoilt_json(victim: Victim, chance: Random) -> Sequence[str]:
    """Send an inference request in JSON with one fault."""
    head, _ = _infer_parts(chance, binary=False)
    return _send(victim, oip.wrap(repositories.STURDY, mutations.mutate_json(head, chance), b""), explained=True)


def spoilt_binary(victim: Victim, chance: Random) -> Sequence[str]:
    """Send a binary inference request with one fault: in its JSON, its tensor, or the lengths of either."""
    head, tail = _infer_parts(chance, binary=True)
    lengths = (str(len(head) - 1), str(len(head) + 1), str(len(head) + len(tail) + 1), "99999999999999999999")
    odd = (*lengths, "0", *(number.decode("latin-1") for number in mutations.NUMBERS))
    spoil: Sequence[Callable[[], bytes]] = (
        lambda: oip.wrap(repositories.STURDY, mutations.mutate_json(head, chance), tail),
        lambda: oip.wrap(repositories.STURDY, head, mutations.mutate_bytes(tail, chance)),
        lambda: oip.wrap(repositories.STURDY, head, tail, length=chance.choice(odd).encode("utf-8").decode("latin-1")),
        lambda: oip.wrap(repositories.STURDY, mutations.mutate_number(head, b"12", chance), tail),
    )
    return _send(victim, chance.choice(spoil)(), explained=True)


def spoilt_coding(victim: Victim, chance: Random) -> Sequence[str]:
    """Send a body that is falsely declared as compressed, cut short, or inflates without end."""
    head, _ = _infer_parts(chance, binary=False)
    packed = gzip.compress(head)
    body = chance.choice((head, packed[: len(packed) // 2], packed + b"more", bomb(), b"", packed))
    coding = chance.choice(("gzip", "gzip", "deflate", "br", "gzip, gzip", "identity"))
    target = f"/v2/models/{repositories.STURDY}/infer"
    return post(victim, target, body, Content_Type="application/json", Content_Encoding=coding)


def spoilt_control(victim: Victim, chance: Random) -> Sequence[str]:
    """Call the repository's routes with meaningless bodies, and with models that do not exist."""
    body = chance.choice((b"", b"{}", mutations.mutate_json(json.dumps(CONTROL_BODY).encode(), chance)))
    return post(victim, chance.choice(CONTROL), body, Content_Type="application/json")


def _infer_parts(chance: Random, *, binary: bool) -> tuple[bytes, bytes]:
    """The JSON and tensor of a good request with every optional part, so that each part can be spoilt."""
    head, tail = oip.infer_parts(repositories.image(chance.randrange(256))[None], binary=binary)
    return json.dumps({**EVERYTHING, **json.loads(head)}).encode(), tail


def post(victim: Victim, target: str, body: bytes, **headers: str) -> Sequence[str]:
    """Send a POST; an error must say what is wrong."""
    return _send(victim, render("POST", target, body, **headers), explained=True)


def raw(victim: Victim, message: bytes) -> Sequence[str]:
    """Send these bytes as they are."""
    return _send(victim, message, explained=False)


def _send(victim: Victim, message: bytes, *, explained: bool) -> Sequence[str]:
    with Wire(victim.address) as wire:
        wire.send(message)
        return [wire.answer(explained=explained)]


@cache
def bomb() -> bytes:
    """A compressed body that inflates to more than a service should hold; takes a second to make."""
    return mutations.gzip_bomb(BOMB_MEGABYTES)


@cache
def png() -> bytes:
    """A small good PNG file."""
    return _file("png")


@cache
def jpeg() -> bytes:
    """A small good JPEG file."""
    return _file("jpeg")


def _file(kind: str) -> bytes:
    file = io.BytesIO()
    Image.fromarray(repositories.image(7, height=48, width=64)).save(file, kind)
    return file.getvalue()


KINDS: Final[Mapping[str, Nastiness]] = {
    "not HTTP": not_http,
    "broken HTTP": broken_http,
    "odd target": odd_target,
    "HEAD": head_method,
    "spoilt file": spoilt_file,
    "image bomb": image_bomb,
    "spoilt raw": spoilt_raw,
    "spoilt form": spoilt_form,
    "spoilt OIP JSON": spoilt_json,
    "spoilt OIP binary": spoilt_binary,
    "spoilt coding": spoilt_coding,
    "spoilt control": spoilt_control,
}
