"""Clients whose requests make the service work for or hold far more than they send.

Each kind is a function as in `nasty`: tiny chunks, endless trailers and form parts, long queries, bodies whose last
byte never comes, and requests that a foreign page makes a browser send.
"""

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import cache
from random import Random
from typing import Final

from benchmarks import repositories, workloads
from benchmarks.nasty import Nastiness, Victim, checked
from benchmarks.nasty_messages import CRLF, post, raw
from benchmarks.wire import LEFT, Wire
from topfive_loadgen.http1 import render

TARGET = f"/v1/classify?height=2&width=2&model={repositories.STURDY}"
CHUNKED = (
    f"POST {TARGET} HTTP/1.1\r\nHost: a\r\nContent-Type: application/octet-stream\r\nTransfer-Encoding: chunked"
).encode() + CRLF
TRAILER_BYTES = 2_000_000
TINY_CHUNK_SIDES = (40, 40)
EXTENSION_BYTES = 60_000
PARTS = 1_000_000
HELD_CONNECTIONS, HELD_SIDES, HELD_SECONDS = 8, (1000, 1000), 1.5
QUERIES, QUERY_BYTES = 20, 8000


def endless_trailers(victim: Victim, chance: Random) -> Sequence[str]:
    """Send a chunked body, followed by trailers without end."""
    return raw(victim, CHUNKED + b"c\r\n" + bytes(12) + b"\r\n0\r\n" + b"a:\r\n" * (TRAILER_BYTES // 4))


def trailer_as_header(victim: Victim, chance: Random) -> Sequence[str]:
    """Send a good body with a trailer that would be refused as a header; it must not count as a header."""
    value = chance.randrange(repositories.BRIGHTEST)
    trailers = b"Authorization: Basic YTpi\r\nContent-Encoding: nothing\r\nContent-Type: text/html\r\n"
    with Wire(victim.address) as wire:
        wire.send(CHUNKED + b"c\r\n" + bytes([value] * 12) + b"\r\n0\r\n" + trailers + b"\r\n")
        return [checked(wire, value)]


def tiny_chunks(victim: Victim, chance: Random) -> Sequence[str]:
    """Send a good image in chunks of one byte."""
    height, width = TINY_CHUNK_SIDES
    value = chance.randrange(repositories.BRIGHTEST)
    target = f"/v1/classify?height={height}&width={width}&model={repositories.STURDY}"
    head = f"POST {target} HTTP/1.1\r\nHost: a\r\nContent-Type: application/octet-stream\r\nTransfer-Encoding: chunked"
    with Wire(victim.address) as wire:
        wire.send(head.encode() + CRLF + b"1\r\n%c\r\n" % value * (height * width * 3) + b"0\r\n\r\n")
        return [checked(wire, value)]


def long_extensions(victim: Victim, chance: Random) -> Sequence[str]:
    """Send chunks of one byte, each with a long extension."""
    return raw(victim, CHUNKED + (b"1;" + b"a" * EXTENSION_BYTES + b"\r\n\0\r\n") * 12 + b"0\r\n\r\n")


def endless_form(victim: Victim, chance: Random) -> Sequence[str]:
    """Send a form of a million empty parts."""
    return post(victim, f"/v1/classify?model={victim.model}", parts(), Content_Type="multipart/form-data; boundary=b")


@cache
def parts() -> bytes:
    """The form of `endless_form`."""
    return b"--b\r\nA:b\r\n\r\n\r\n" * PARTS + b"--b--\r\n"


def all_but_a_byte(victim: Victim, chance: Random) -> Sequence[str]:
    """Send several bodies without their last byte, and stay for as long as the service lets them wait, or longer."""
    image = repositories.image(7, height=HELD_SIDES[0], width=HELD_SIDES[1])
    message = workloads.request(image, model=repositories.STURDY)
    with ExitStack() as stack:
        wires = [stack.enter_context(Wire(victim.address)) for _ in range(HELD_CONNECTIONS)]
        for wire in wires:
            wire.send(message[:-1])
        time.sleep(HELD_SECONDS)  # keep the connection open meanwhile
        return [LEFT if wire.is_quiet() else wire.answer(explained=True) for wire in wires]


def no_host(victim: Victim, chance: Random) -> Sequence[str]:
    """Send HTTP/1.1 with no Host header, or with two."""
    hosts = chance.choice((b"", b"Host: a\r\nHost: b\r\n", b"Host: a\r\nHost: a\r\n"))
    return raw(victim, b"GET /v2/health/live HTTP/1.1\r\n" + hosts + b"\r\n")


def long_queries(victim: Victim, chance: Random) -> Sequence[str]:
    """Send different queries of kilobytes, one after the other."""
    words = []
    with Wire(victim.address) as wire:
        for _ in range(QUERIES):
            query = chance.randbytes(QUERY_BYTES // 2).hex()
            wire.send(render("POST", f"/v1/classify?height=2&width=2&{query}", bytes(12)))
            words.append(wire.answer(explained=True))
    return words


def foreign_page(victim: Victim, chance: Random) -> Sequence[str]:
    """Send what a browser sends if another site's page asks to unload a model, one that does not exist."""
    told = chance.choice(({"Sec_Fetch_Site": "cross-site"}, {"Origin": "https://elsewhere.example"}))
    path = f"/v2/repository/models/nobody/{chance.choice(('load', 'unload'))}"
    return post(victim, path, b"", Content_Type="text/plain", **told)


KINDS: Final[Mapping[str, Nastiness]] = {
    "trailers without end": endless_trailers,
    "trailers like headers, good": trailer_as_header,
    "chunks of a byte, good": tiny_chunks,
    "long chunk extensions": long_extensions,
    "form without end": endless_form,
    "all but a byte": all_but_a_byte,
    "no Host, or two": no_host,
    "long queries": long_queries,
    "another site's page": foreign_page,
}
