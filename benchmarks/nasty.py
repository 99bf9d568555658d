"""Clients that misbehave on the connection: they hang up, send slowly, flood, never read, or send in unusual ways.

Each kind is a function that misbehaves once, and returns the answers in words (`wire`). Wrong bodies and wrong HTTP are
in `nasty_messages`. Requests that cost the service more than the client are in `nasty_framing` and `nasty_images`.
Misbehaving gRPC clients are in `nasty_grpc`.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Final

from benchmarks import answers, repositories, workloads
from benchmarks.answers import Told
from benchmarks.wire import LEFT, Wire
from topfive_loadgen.http1 import render

DRIP_SECONDS = 0.05
CUT_MARGIN_SECONDS = 8.0  # grace beyond a limit for the service to cut a slow client off: the machine is shared
FLOOD = 100
PIPELINED = 8
WRONG: Final = "wrong"


@dataclass(frozen=True, slots=True, kw_only=True)
class Victim:
    """The service as misbehaving clients see it: its address, good requests to spoil, and its time limits."""

    address: tuple[str, int]
    messages: Mapping[str, bytes]
    model: str
    head_seconds: float
    body_seconds: float
    send_seconds: float
    grpc_address: tuple[str, int] = ("", 0)

    def any_message(self, chance: Random) -> bytes:
        """A good request."""
        return self.messages[chance.choice([*self.messages])]


Nastiness = Callable[[Victim, Random], Sequence[str]]


def hang_up(victim: Victim, chance: Random, *, stage: str) -> Sequence[str]:
    """Hang up, properly or with a reset, at one stage of a good request."""
    message = victim.any_message(chance)
    head = message.index(b"\r\n\r\n") + 4
    sent = {
        "after connecting": 0,
        "in the head": chance.randrange(1, head),
        "after the head": head,
        "in the body": chance.randrange(head, len(message)),
        "after the request": len(message),
        "in the answer": len(message),
    }
    with Wire(victim.address) as wire:
        wire.send(message[: sent[stage]])
        if stage == "in the answer":
            with suppress(ConnectionError):
                wire.socket.recv(1)
        return [wire.leave(abruptly=chance.random() < 0.5)]


def dawdle_in_head(victim: Victim, chance: Random) -> Sequence[str]:
    """Begin a head, then send it byte by byte, or stop."""
    head = b"POST /v1/classify HTTP/1.1\r\nHost: a\r\nX-Slow: "
    rest = chance.choice((b"", b"a" * 100_000))
    with Wire(victim.address) as wire:
        wire.send(head[: chance.randrange(1, len(head))])
        return [
            wire.drip(rest, every_seconds=DRIP_SECONDS, within_seconds=victim.head_seconds + CUT_MARGIN_SECONDS),
        ]


def dawdle_in_body(victim: Victim, chance: Random) -> Sequence[str]:
    """Begin a body, then send it byte by byte, or stop; with a Content-Length or chunked."""
    rest = chance.choice((b"", b"a" * 100_000))
    length = chance.choice(("Content-Length: 3000000", "Transfer-Encoding: chunked"))
    head = f"POST /v1/classify?height=1000&width=1000&model={victim.model} HTTP/1.1\r\nHost: a\r\n{length}\r\n"
    with Wire(victim.address) as wire:
        wire.send(head.encode() + b"Content-Type: application/octet-stream\r\n\r\n")
        if "chunked" in length:
            wire.send(b"f4240\r\n")
        within = victim.body_seconds + CUT_MARGIN_SECONDS
        return [wire.drip(rest, every_seconds=DRIP_SECONDS, within_seconds=within)]


def never_read(victim: Victim, chance: Random) -> Sequence[str]:
    """Request large answers, read none of them, and stay for as long as the service allows."""
    with Wire(victim.address, receive_buffer=2048) as wire:
        wire.socket.settimeout(victim.send_seconds)
        path = chance.choice(("/metrics", "/openapi.json", "/docs"))
        wire.send(render("GET", path) * 200)
        time.sleep(victim.send_seconds)  # keep the connection open meanwhile
        return [wire.leave(abruptly=chance.random() < 0.5)]


def idle_flood(victim: Victim, chance: Random) -> Sequence[str]:
    """Open many connections and send nothing, or almost nothing."""
    with ExitStack() as stack:
        wires = [stack.enter_context(Wire(victim.address)) for _ in range(FLOOD)]
        for wire in wires:
            wire.send(chance.choice((b"", b"P", b"POST ", b"\r\n")))
        time.sleep(0.3)  # keep the connection open meanwhile
        return [LEFT] * FLOOD


def header_flood(victim: Victim, chance: Random) -> Sequence[str]:
    """Send thousands of headers, one huge header, or headers without end."""
    many = b"".join(b"X-%d: %d\r\n" % (number, number) for number in range(5000))
    huge = b"X-Huge: " + b"a" * 2_000_000 + b"\r\n"
    flood = chance.choice((many, huge, many * 10, b"X: \r\n" * 20_000))
    end = chance.choice((b"\r\n", b"\r\n", b""))
    with Wire(victim.address) as wire:
        wire.send(b"GET /v2/health/live HTTP/1.1\r\nHost: a\r\n" + flood + end)
        return [wire.answer()]


def half_close(victim: Victim, chance: Random) -> Sequence[str]:
    """Send a complete or incomplete request, and close only the sending side."""
    message = victim.any_message(chance)
    with Wire(victim.address) as wire:
        wire.send(message[: chance.choice((len(message), chance.randrange(1, len(message))))])
        with suppress(OSError):
            wire.socket.shutdown(1)
        return [wire.answer()]


def expect_and_go(victim: Victim, chance: Random) -> Sequence[str]:
    """Send `Expect: 100-continue`; then do not wait for the answer, or do not send the body."""
    head, _, _ = victim.messages["classify raw"].partition(b"\r\n\r\n")
    with Wire(victim.address) as wire:
        wire.send(head + b"\r\nExpect: 100-continue\r\n\r\n")
        if chance.random() < 0.5:
            with suppress(ConnectionError):
                wire.socket.recv(1000)
        return [wire.leave(abruptly=chance.random() < 0.5)]


def chunked(victim: Victim, chance: Random) -> Sequence[str]:
    """Send a good body in chunks of random sizes; the answer must be right."""
    value = chance.randrange(repositories.BRIGHTEST)
    body = repositories.image(value).tobytes()
    pieces = []
    while body:
        size = chance.randrange(1, len(body) + 1)
        pieces.append(b"%x\r\n%b\r\n" % (size, body[:size]))
        body = body[size:]
    head = f"POST /v1/classify?height=2&width=2&model={repositories.STURDY} HTTP/1.1\r\nHost: a\r\n"
    with Wire(victim.address) as wire:
        wire.send(head.encode() + b"Content-Type: application/octet-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for piece in [*pieces, b"0\r\n\r\n"]:
            wire.send(piece)
        return [checked(wire, value)]


def pipeline(victim: Victim, chance: Random) -> Sequence[str]:
    """Send several requests at once on one connection; each must get its own answer, in order."""
    values = [chance.randrange(repositories.BRIGHTEST) for _ in range(PIPELINED)]
    images = map(repositories.image, values)
    with Wire(victim.address) as wire:
        wire.send(b"".join(workloads.request(image, model=repositories.STURDY) for image in images))
        return [checked(wire, value) for value in values]


def poison(victim: Victim, chance: Random) -> Sequence[str]:
    """Send an image on which the model's graph fails."""
    image = repositories.image(repositories.POISON)
    message = workloads.request(image, model=repositories.POISONOUS)
    with Wire(victim.address) as wire:
        wire.send(message)
        return [wire.answer()]


def poison_in_company(victim: Victim, chance: Random) -> Sequence[str]:
    """Send a good image to the model that fails on other images; the answer must be right in any batch."""
    value = chance.randrange(repositories.POISON - 10)
    with Wire(victim.address) as wire:
        wire.send(workloads.request(repositories.image(value), model=repositories.POISONOUS))
        return [checked(wire, value)]


def checked(wire: Wire, value: int) -> str:
    """The answer in a word; WRONG if it is not that of the image with this value."""
    word = wire.answer()
    if word != "200":
        return word
    assert wire.response is not None
    seen = answers.told(wire.response)
    return word if isinstance(seen, Told) and seen.labels == (f"value {value}",) else WRONG


STAGES = ("after connecting", "in the head", "after the head", "in the body", "after the request", "in the answer")
KINDS: Final[Mapping[str, Nastiness]] = {
    **{f"hang up {stage}": partial(hang_up, stage=stage) for stage in STAGES},
    "dawdle in the head": dawdle_in_head,
    "dawdle in the body": dawdle_in_body,
    "never read": never_read,
    "idle flood": idle_flood,
    "header flood": header_flood,
    "half-closed": half_close,
    "expect, then go": expect_and_go,
    "chunked, good": chunked,
    "pipelined, good": pipeline,
    "poison": poison,
    "beside poison, good": poison_in_company,
}
