"""Images are prepared in turn, in time and within memory, and what is dear costs nobody else."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, Final

import pytest

from tests.request.preparing.test_decoder import LONG, PHOTO, SMALL
from tests.testkit.fakes import FakeClock, settle
from topfive.ground.errors import ClientDisconnected, DeadlineExceeded, NotReady, QueueFull
from topfive.images.decoding import USUAL_RULES, ImageLimits
from topfive.request.admission import Admission
from topfive.request.preparing.preparation import Decode, Preparation, PreparingLimits
from topfive.request.preparing.price import Price

NEVER: Final = float("inf")
SECONDS: Final = 30.0
CHEAP: Final = Price("a", 0.001, 100, is_dear=False)
DEAR: Final = Price("b", 1.0, 600, is_dear=True)


def here() -> bool:
    return False


@dataclass
class Gate:
    """A call that waits on its thread until the test opens it."""

    name: str = ""
    order: list[str] = field(default_factory=list)
    opened: threading.Event = field(default_factory=threading.Event)
    entered: threading.Event = field(default_factory=threading.Event)

    def __call__(self, _: Decode) -> str:
        self.entered.set()
        self.order.append(self.name)
        assert self.opened.wait(SECONDS)
        return self.name


class Bench:
    """A preparation on a clock that stands still."""

    def __init__(self, max_bytes: int = 1000, threads: int = 1) -> None:
        self.clock = FakeClock()
        self.deaths: list[BaseException] = []
        self.admission = Admission(max_requests=8, max_bytes=max_bytes, slowest_seconds=60, now=self.clock.now)
        self.preparation = Preparation(
            PreparingLimits(threads=threads, max_wait_seconds=2.0, max_decode_seconds=SECONDS, max_dear=4),
            images=ImageLimits(max_pixels=25_000_000, max_dimension=32_768, max_images=8),
            rules=USUAL_RULES,
            admission=self.admission,
            clock=self.clock,
            on_death=self.deaths.append,
        )

    def run(
        self,
        call: Callable[[Decode], Any],
        price: Price = CHEAP,
        *,
        deadline: float = NEVER,
        abandoned: Callable[[], bool] = here,
    ) -> asyncio.Future[Any]:
        return self.preparation.run(price, call, deadline=deadline, abandoned=abandoned)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    yield bench
    assert bench.preparation.close(timeout_seconds=SECONDS)
    assert bench.admission.nbytes == 0
    assert bench.deaths == []


@pytest.mark.parametrize("price", [CHEAP, DEAR], ids=["here", "apart"])
async def test_a_call_is_given_what_decodes(bench: Bench, price: Price) -> None:
    assert await bench.run(lambda decode: decode(SMALL).shape, price) == (1, *PHOTO.shape)


@pytest.mark.parametrize("price", [CHEAP, DEAR], ids=["here", "apart"])
async def test_an_error_is_the_calls(bench: Bench, price: Price) -> None:
    def fail(_: Decode) -> None:
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        await bench.run(fail, price)
    assert await bench.run(lambda _: 1, price) == 1


async def test_what_is_dear_holds_up_nothing_small(bench: Bench) -> None:
    gate = Gate()
    large = bench.run(gate, DEAR)
    assert await bench.run(lambda _: 1) == 1
    gate.opened.set()
    await large


async def test_a_small_one_is_never_refused_for_what_is_dear(bench: Bench) -> None:
    gate = Gate()
    dear = [bench.run(gate, DEAR) for _ in range(4)]
    assert bench.preparation.check([CHEAP], deadline=bench.clock.now()) == 0.0
    gate.opened.set()
    await asyncio.gather(*dear)


async def test_who_would_wait_too_long_is_refused_on_arrival(bench: Bench) -> None:
    gate = Gate()
    dear = [bench.run(gate, DEAR) for _ in range(2)]
    assert bench.preparation.check([DEAR], deadline=NEVER) == pytest.approx(2.0)
    with pytest.raises(DeadlineExceeded, match=r"2\.000 s to decode"):
        bench.preparation.check([DEAR], deadline=bench.clock.now() + 1.9)
    dear.append(bench.run(gate, DEAR))
    with pytest.raises(QueueFull, match="too many images wait to be decoded") as refused:
        bench.preparation.check([CHEAP, DEAR], deadline=NEVER)
    assert refused.value.retry_after_seconds == pytest.approx(3.0)
    gate.opened.set()
    await asyncio.gather(*dear)
    assert bench.preparation.check([DEAR], deadline=NEVER) == 0.0


async def test_what_waits_can_be_seen(bench: Bench) -> None:
    assert bench.preparation.waiting() == {"small": (0, 0.0), "dear": (0, 0.0)}
    gate = Gate()
    dear = [bench.run(gate, DEAR) for _ in range(3)]
    assert bench.preparation.waiting() == {"small": (0, 0.0), "dear": (2, pytest.approx(3.0))}
    gate.opened.set()
    await asyncio.gather(*dear)


async def test_no_more_wait_that_are_dear_than_may(bench: Bench) -> None:
    gate = Gate()
    little = Price("b", 0.001, 1, is_dear=True)
    waiting = [bench.run(gate, little) for _ in range(5)]
    with pytest.raises(QueueFull, match="4, of at most 4"):
        bench.preparation.check([CHEAP, little], deadline=NEVER)
    assert bench.preparation.check([CHEAP] * 5, deadline=NEVER) == 0.0, "theirs is another lane"
    gate.opened.set()
    await asyncio.gather(*waiting)


async def test_the_cheapest_of_those_that_wait_is_next(bench: Bench) -> None:
    order: list[str] = []
    first = Gate("first", order)
    prices = {"large": 0.02, "small": 0.001, "middle": 0.01}
    running = [bench.run(first), bench.run(Gate("ahead", order, first.opened))]
    running += [
        bench.run(Gate(name, order, first.opened), Price("a", seconds, 1, is_dear=False))
        for name, seconds in prices.items()
    ]
    first.opened.set()
    await asyncio.gather(*running)
    assert order == ["first", "ahead", "small", "middle", "large"]


@pytest.mark.parametrize("price", [CHEAP, DEAR], ids=["here", "apart"])
async def test_whose_deadline_passes_is_told_then_whatever_its_turn(bench: Bench, price: Price) -> None:
    gate, late = Gate(), Gate()
    running = [bench.run(gate, price, deadline=bench.clock.now() + 1) for _ in range(3)]
    waiting = bench.run(late, price, deadline=bench.clock.now() + 1)
    bench.clock.advance(1.0)
    for each in (*running, waiting):
        with pytest.raises(DeadlineExceeded, match="before the image was prepared"):
            await each
    gate.opened.set()
    assert await bench.run(lambda _: 1, price) == 1
    assert not late.entered.is_set()


async def test_who_has_left_is_not_decoded_for(bench: Bench) -> None:
    gate, left = Gate(), Gate()
    running = bench.run(gate, DEAR)
    gone = bench.run(left, DEAR, abandoned=lambda: True)
    bench.clock.advance(0.25)
    with pytest.raises(ClientDisconnected):
        await gone
    gate.opened.set()
    await running
    assert await bench.run(lambda _: 1, DEAR) == 1
    assert not left.entered.is_set()


def wait_until_decoding(bench: Bench) -> None:
    while bench.preparation._decoders[0]._wanted is None:
        pass


@pytest.mark.parametrize("how", ["deadline", "hung up", "cancelled"])
async def test_a_decode_that_nobody_waits_for_any_more_is_ended(bench: Bench, how: str) -> None:
    """Its place is free for the next long before it would have come to its end by itself."""
    began, ended = threading.Event(), threading.Event()

    def decode_on(decode: Decode) -> None:
        began.set()
        try:
            while True:  # as if it never ended
                decode(LONG)
        finally:
            ended.set()

    deadline = bench.clock.now() + 0.1 if how == "deadline" else NEVER
    running = bench.run(decode_on, DEAR, deadline=deadline, abandoned=lambda: how == "hung up")
    await asyncio.to_thread(began.wait, SECONDS)
    await asyncio.to_thread(wait_until_decoding, bench)
    if how == "cancelled":
        running.cancel()
    else:
        bench.clock.advance(0.25)
    with pytest.raises((DeadlineExceeded, ClientDisconnected, asyncio.CancelledError)):
        await running
    assert await asyncio.to_thread(ended.wait, SECONDS)


async def test_the_memory_of_what_is_dear_is_charged_while_it_is_taken(bench: Bench) -> None:
    """That of the others is bounded by their threads."""
    gate = Gate()
    running = [bench.run(gate), bench.run(gate, DEAR), bench.run(gate, DEAR)]
    assert bench.admission.nbytes == DEAR.nbytes
    gate.opened.set()
    await asyncio.gather(*running)
    await settle()
    assert bench.admission.nbytes == 0


async def test_what_is_dear_waits_for_memory_unless_it_is_the_only_one() -> None:
    bench = Bench(max_bytes=700, threads=2)
    gate, second = Gate(), Gate()
    bench.admission.take(500)  # somebody's body
    first, other = bench.run(gate, DEAR), bench.run(second, DEAR)
    assert await asyncio.to_thread(gate.entered.wait, SECONDS)
    assert not second.entered.is_set()
    assert bench.admission.nbytes == 500 + DEAR.nbytes
    gate.opened.set()
    second.opened.set()
    await asyncio.gather(first, other)
    bench.admission.give_back(500)
    assert bench.preparation.close(timeout_seconds=SECONDS)


async def test_memory_that_others_give_back_is_noticed() -> None:
    bench = Bench(max_bytes=1300, threads=2)
    gate, second = Gate(), Gate()
    bench.admission.take(500)
    running = [bench.run(gate, DEAR), bench.run(second, DEAR)]
    bench.admission.give_back(500)
    bench.clock.advance(0.25)
    assert await asyncio.to_thread(second.entered.wait, SECONDS)
    gate.opened.set()
    second.opened.set()
    await asyncio.gather(*running)
    assert bench.preparation.close(timeout_seconds=SECONDS)


async def test_who_has_just_been_told_is_not_decoded_for_though_there_is_memory_again() -> None:
    bench = Bench(max_bytes=1300, threads=2)
    gate, late = Gate(), Gate()
    bench.admission.take(500)
    first, told = bench.run(gate, DEAR), bench.run(late, DEAR, deadline=bench.clock.now() + 0.2)
    bench.admission.give_back(500)
    bench.clock.advance(0.25)
    with pytest.raises(DeadlineExceeded):
        await told
    assert bench.admission.nbytes == DEAR.nbytes
    gate.opened.set()
    await first
    assert not late.entered.is_set()
    assert bench.preparation.close(timeout_seconds=SECONDS)


async def test_its_stop_ends_what_waits_and_what_decodes() -> None:
    bench = Bench()
    began = threading.Event()

    def decode_on(decode: Decode) -> None:
        began.set()
        decode(LONG)

    running, waiting = bench.run(decode_on, DEAR), bench.run(Gate(), DEAR)
    await asyncio.to_thread(began.wait, SECONDS)
    assert bench.preparation.close(timeout_seconds=SECONDS)
    for each in (running, waiting):
        with pytest.raises(NotReady, match="stopped"):
            await each
    with pytest.raises(NotReady):
        bench.run(Gate())


async def test_nothing_is_looked_at_while_nothing_is_prepared(bench: Bench) -> None:
    assert bench.clock.armed == []
    await bench.run(lambda _: 1, deadline=bench.clock.now() + 9)
    bench.clock.advance(0.25)
    assert bench.clock.armed == []
