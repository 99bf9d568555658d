"""Clients that do not behave on the connection: they hang up, dawdle, flood, never read, or talk in unusual ways.

Each kind is a function that does its worst once and returns in words what it was answered (`wire`). What is wrong with
bodies and with HTTP itself is in `nasty_messages`, what costs the service more than its client in `nasty_framing` and
`nasty_images`, what clients of gRPC do in `nasty_grpc`.
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
from loadgen.http1 import render

DRIP_SECONDS = 0.05
CUT_MARGIN_SECONDS = 8.0  # on top of a limit, before a client that dawdles is not cut off: the machine is shared
FLOOD = 100
PIPELINED = 8
WRONG: Final = "wrong"


@dataclass(frozen=True, slots=True, kw_only=True)
class Victim:
    """What those clients know of the service: where it is, good requests to spoil, and how patient it says it is."""

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
    """Go away, in order or with a reset, at one stage of a good request."""
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
    """Begin a head, then send it byte by byte, or no more of it."""
    head = b"POST /v1/classify HTTP/1.1\r\nHost: a\r\nX-Slow: "
    rest = chance.choice((b"", b"a" * 100_000))
    with Wire(victim.address) as wire:
        wire.send(head[: chance.randrange(1, len(head))])
        return [
            wire.drip(rest, every_seconds=DRIP_SECONDS, within_seconds=victim.head_seconds + CUT_MARGIN_SECONDS),
        ]


def dawdle_in_body(victim: Victim, chance: Random) -> Sequence[str]:
    """Send a body byte by byte, or no more of it; announced or chunked."""
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
    """Ask for much, read none of it, and stay as long as the service may bear it."""
    with Wire(victim.address, receive_buffer=2048) as wire:
        wire.socket.settimeout(victim.send_seconds)
        path = chance.choice(("/metrics", "/openapi.json", "/docs"))
        wire.send(render("GET", path) * 200)
        time.sleep(victim.send_seconds)  # staying is what this client does
        return [wire.leave(abruptly=chance.random() < 0.5)]


def idle_flood(victim: Victim, chance: Random) -> Sequence[str]:
    """Many connections on which nothing, or next to nothing, is sent."""
    with ExitStack() as stack:
        wires = [stack.enter_context(Wire(victim.address)) for _ in range(FLOOD)]
        for wire in wires:
            wire.send(chance.choice((b"", b"P", b"POST ", b"\r\n")))
        time.sleep(0.3)  # staying is what these clients do
        return [LEFT] * FLOOD


def header_flood(victim: Victim, chance: Random) -> Sequence[str]:
    """Thousands of headers, one huge header, or headers without end."""
    many = b"".join(b"X-%d: %d\r\n" % (number, number) for number in range(5000))
    huge = b"X-Huge: " + b"a" * 2_000_000 + b"\r\n"
    flood = chance.choice((many, huge, many * 10, b"X: \r\n" * 20_000))
    end = chance.choice((b"\r\n", b"\r\n", b""))
    with Wire(victim.address) as wire:
        wire.send(b"GET /v2/health/live HTTP/1.1\r\nHost: a\r\n" + flood + end)
        return [wire.answer()]


def half_close(victim: Victim, chance: Random) -> Sequence[str]:
    """Send a request, whole or not, and close the sending side only."""
    message = victim.any_message(chance)
    with Wire(victim.address) as wire:
        wire.send(message[: chance.choice((len(message), chance.randrange(1, len(message))))])
        with suppress(OSError):
            wire.socket.shutdown(1)
        return [wire.answer()]


def expect_and_go(victim: Victim, chance: Random) -> Sequence[str]:
    """Ask whether to send the body, and do not wait for the answer, or do not send it."""
    head, _, _ = victim.messages["classify raw"].partition(b"\r\n\r\n")
    with Wire(victim.address) as wire:
        wire.send(head + b"\r\nExpect: 100-continue\r\n\r\n")
        if chance.random() < 0.5:
            with suppress(ConnectionError):
                wire.socket.recv(1000)
        return [wire.leave(abruptly=chance.random() < 0.5)]


def chunked(victim: Victim, chance: Random) -> Sequence[str]:
    """A good body in chunks of any size: as good as any other."""
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
    """Several requests at once on one connection: each its own answer, in their order."""
    values = [chance.randrange(repositories.BRIGHTEST) for _ in range(PIPELINED)]
    images = map(repositories.image, values)
    with Wire(victim.address) as wire:
        wire.send(b"".join(workloads.request(image, model=repositories.STURDY) for image in images))
        return [checked(wire, value) for value in values]


def poison(victim: Victim, chance: Random) -> Sequence[str]:
    """An image on which the model's graph fails."""
    image = repositories.image(repositories.POISON)
    message = workloads.request(image, model=repositories.POISONOUS)
    with Wire(victim.address) as wire:
        wire.send(message)
        return [wire.answer()]


def poison_in_company(victim: Victim, chance: Random) -> Sequence[str]:
    """A good image to the model that fails on others': right, whoever it shared a batch with."""
    value = chance.randrange(repositories.POISON - 10)
    with Wire(victim.address) as wire:
        wire.send(workloads.request(repositories.image(value), model=repositories.POISONOUS))
        return [checked(wire, value)]


def checked(wire: Wire, value: int) -> str:
    """The answer in a word; WRONG if it is not of the image with this value."""
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
