"""The classifier: takes a request from any door through its steps, from its head to its answer.

What lives here: the order of the steps (admit, receive, understand, prepare, queue, answer), and the deadline over all
of them. What does not: any protocol (`http`, `grpc`), and how each step is done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

from topfive.access.tenants import Tenant
from topfive.backends.base import Row
from topfive.batching.batch import Payload
from topfive.ground.clock import Clock
from topfive.ground.drift import Sent
from topfive.ground.errors import ClientDisconnected, DeadlineExceeded, MalformedRequest
from topfive.ground.types import LookedUp, Timings
from topfive.machine.workers import WorkerPool
from topfive.models.served import ServedModel
from topfive.request.admission import Admission, Entry
from topfive.request.answer_cache import AnswerCache
from topfive.request.lookup import Lookup, Missing
from topfive.request.preparing.payloads import Payloads
from topfive.request.preparing.preparation import Preparation
from topfive.request.sources import Body, Source, count_of

_NEVER: Final = float("inf")


class Asked(Protocol):
    """What a request asks for, as read from its body."""

    @property
    def body(self) -> Body:
        """The images, as `source` says."""

    @property
    def source(self) -> Source:
        """How the images lie in `body`."""

    @property
    def timeout_seconds(self) -> float | None:
        """How long the request may take; None where the body does not say."""

    @property
    def priority(self) -> int:
        """1 is the best; 0 means the model's default."""

    @property
    def copied_bytes(self) -> int:
        """Bytes that were copied out of the body and are held beside it."""


A = TypeVar("A", bound=Asked)
A_co = TypeVar("A_co", bound=Asked, covariant=True)
T = TypeVar("T")


class Door(Protocol[A_co]):
    """One request as its protocol presents it; the methods are called in this order."""

    async def receive(self, entry: Entry) -> None:
        """Receive the body, and charge it to `entry` as it comes."""

    def is_light(self) -> bool:
        """Whether `understand` takes less time than a change of thread and back."""

    def understand(self) -> A_co:
        """Read from the body what the request asks for; may be called on another thread."""

    def is_abandoned(self) -> bool:
        """Whether the client has hung up; called at any time once the body is here."""


@dataclass(frozen=True, slots=True)
class Announced:
    """What is known of a request before its body; by this it is admitted or refused.

    `began`: the monotonic second at which its first byte came. `nbytes`: the announced size of the body. `images`: how
    many it holds at least. `timeout_seconds`: how long the request may take, from `began`. `latest`: the monotonic
    second of the client's own deadline. `priority`: the best that the body may ask for. `tenant`: whose key it came
    with; None where no keys are asked for.
    """

    model: ServedModel
    began: float
    nbytes: int = 0
    images: int = 1
    timeout_seconds: float | None = None
    latest: float = _NEVER
    priority: int = 0
    tenant: Tenant | None = None

    def deadline(self, timeout_seconds: float | None = None) -> float:
        """The monotonic second by which the answer must be there; raises `MalformedRequest`.

        The timeout of the model's queue policy holds for every request. A client may set a shorter one, in the head or
        by `timeout_seconds` in the body, if the policy sets none or allows that.
        """
        model = self.model
        allowed = model.queue_timeout_seconds or _NEVER
        asked = self.timeout_seconds if timeout_seconds is None else timeout_seconds
        if asked is not None:
            if model.queue_timeout_seconds and not model.allow_timeout_override:
                raise MalformedRequest(
                    f"model '{model.name}' does not let requests set their own timeout; leave it out, or set "
                    "allow_timeout_override in the default_queue_policy of its config.pbtxt"
                )
            allowed = min(allowed, asked)
        return min(self.latest, self.began + allowed)


@dataclass(frozen=True, slots=True)
class Classification:
    """The answer to one request: the outputs of each image, in the request's order, and the model that gave them.

    `sent`: the images, in the same order, as the client sent them. `payloads`: what the model's batcher got of each;
    None for an image whose answer was in the answer cache. `looked_up`: what that had; None if there is none.
    """

    model: ServedModel
    rows: Sequence[Row]
    timings: Timings
    sent: Sequence[Sent]
    payloads: Sequence[Payload | None]
    looked_up: LookedUp | None = None

    @property
    def has_hits(self) -> bool:
        """Whether an image's answer was in the cache, so that the timings are not those of all its images."""
        return self.looked_up is not None and self.looked_up.hits > 0


class Classifier:
    """Answers requests.

    `preparation`: decodes images, and resizes large ones, on other threads than those that run batches. `pool`: threads
    for other long work. `cache`: answers that are kept; None if none is.
    """

    def __init__(
        self,
        *,
        admission: Admission,
        preparation: Preparation,
        pool: WorkerPool,
        clock: Clock,
        cache: AnswerCache | None = None,
    ) -> None:
        self.lookup = None if cache is None else Lookup(cache, pool=pool, clock=clock)
        self._admission = admission
        self._clock = clock
        self._preparation = preparation
        self.payloads = Payloads(preparation, clock)
        self.pool = pool
        self._understanding = asyncio.Lock()

    async def answer(self, announced: Announced, door: Door[A]) -> tuple[A, Classification]:
        """Return what the request asked for, and its answer; raises any of `topfive.ground.errors`."""
        model, deadline = announced.model, announced.deadline()
        with Entry(
            self._admission,
            model.batcher.room,
            nbytes=announced.nbytes,
            images=announced.images,
            deadline=deadline,
            priority=announced.priority,
            may_hit=self.lookup is not None,
            tenant=announced.tenant,
        ) as entry:
            await door.receive(entry)
            asked = door.understand() if door.is_light() else await self.aside(door.understand, door.is_abandoned)
            if asked.copied_bytes:
                entry.charge(asked.copied_bytes)
            if asked.timeout_seconds is not None:
                deadline = announced.deadline(asked.timeout_seconds)
            if announced.tenant is not None:
                entry.spend(count_of(asked.source))
            if self.lookup is not None:
                return asked, await self._look_up(self.lookup, announced, asked, entry, deadline, door.is_abandoned)
            return asked, await self._classify(announced, asked, entry, deadline, door.is_abandoned)

    async def aside(self, call: Callable[[], T], is_abandoned: Callable[[], bool]) -> T:
        """Run `call` on another thread and return its result; one such call runs at a time.

        Parsers hold the interpreter's lock: two at once are no faster, and the event loop, which has to answer probes,
        would wait for both.
        """
        async with self._understanding:
            if is_abandoned():
                raise ClientDisconnected("the client hung up after its body")
            return await self.pool.run(call)

    async def _look_up(
        self,
        lookup: Lookup,
        announced: Announced,
        asked: Asked,
        entry: Entry,
        deadline: float,
        is_abandoned: Callable[[], bool],
    ) -> Classification:
        """As `_classify`, but only for the images whose answers are not in the cache; these are put into it."""
        model = announced.model
        found = await lookup.find(model, asked.body, asked.source)
        if found is None:
            return await self._classify(announced, asked, entry, deadline, is_abandoned)
        looked_up = LookedUp(len(found.keys), found.hits, found.seconds)
        if not looked_up.is_whole:
            missing = Missing.of(found, asked.body, asked.source, asked.priority)
            entry.charge(missing.copied_bytes)
            fresh = await self._classify(announced, missing, entry, deadline, is_abandoned)
            lookup.keep(found, fresh.rows, fresh.sent)
        elif self._clock.now() < deadline:
            fresh = Classification(model, [], Timings(0.0, 0.0, 0.0, 0.0), [], [])
        else:
            raise DeadlineExceeded("the deadline passed before the image was looked up; allow more, or send less load")
        rest = zip(fresh.rows, fresh.sent, fresh.payloads, strict=True)
        images = [next(rest) if known is None else (known.row, known.sent, None) for known in found.answers]
        rows, sent, payloads = zip(*images, strict=True)
        return Classification(model, rows, fresh.timings, sent, payloads, looked_up)

    async def _classify(
        self, announced: Announced, asked: Asked, entry: Entry, deadline: float, is_abandoned: Callable[[], bool]
    ) -> Classification:
        """Take places, prepare the images, run them and return their outputs; the body is whole and understood."""
        model, tenant, body, source = announced.model, announced.tenant, asked.body, asked.source
        shares = None if tenant is None else tenant.shares
        prices = self.payloads.prices(model, body, source)
        wait = self._preparation.check(prices, deadline=deadline, tenant=shares) if prices else 0.0
        is_near = not any(price.is_dear for price in prices)
        entry.begin(count_of(source), deadline=deadline - wait, priority=asked.priority, is_near=is_near)
        if prices and is_abandoned():
            raise ClientDisconnected("the client hung up after its body")
        prepared = await self.payloads.prepare(
            model, body, source, prices, deadline=deadline, abandoned=is_abandoned, tenant=shares
        )
        entry.release_places()
        outcomes = await model.batcher.submit(
            prepared.payloads, deadline=deadline, priority=asked.priority, tenant=tenant, abandoned=is_abandoned
        )
        timings = Timings(
            decode_seconds=prepared.decode_seconds,
            resize_seconds=prepared.resize_seconds + max(outcome.resize_seconds for outcome in outcomes),
            queue_seconds=prepared.wait_seconds + max(outcome.queue_seconds for outcome in outcomes),
            inference_seconds=max(outcome.inference_seconds for outcome in outcomes),
        )
        rows = [outcome.row for outcome in outcomes]
        return Classification(model, rows, timings, prepared.sent, prepared.payloads)
