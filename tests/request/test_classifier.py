"""The life of a request: its deadline, its steps in order, and the time each took."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.conftest import Encode, Photo
from tests.testkit.fakes import Events, FakeClock, settle
from tests.testkit.tiny_models import CLASSIFIER_CONFIG
from topfive.backends.null import NullBackend
from topfive.batching.batcher import Batcher
from topfive.batching.items import QueueLimits
from topfive.ground.errors import (
    ClientDisconnected,
    DeadlineExceeded,
    MalformedRequest,
    TooLarge,
    UndecodableImage,
    UnsupportedMediaType,
)
from topfive.ground.types import TensorSpec
from topfive.images.decoding import USUAL_RULES, ImageLimits, RawShape
from topfive.machine.workers import WorkerPool
from topfive.models.served import ServedModel
from topfive.observe.metrics import Metrics
from topfive.observe.statistics import Statistics
from topfive.repository.model_config import parse_model_config
from topfive.request.admission import Admission, Entry
from topfive.request.classifier import Announced, Classification, Classifier
from topfive.request.preparing.preparation import Preparation, PreparingLimits
from topfive.request.sources import Body, EncodedImage, EncodedImages, Source

NEVER = float("inf")
OUTPUTS = (
    TensorSpec("classes", "BYTES", (-1, 5)),
    TensorSpec("probabilities", "FP32", (-1, 5)),
    TensorSpec("indices", "INT64", (-1, 5)),
)
TINY = RawShape(2, 2, 1)
PIXELS = bytes(TINY.nbytes)


@dataclass
class SlowResize:
    """A per-image graph that takes a quarter of a second of `clock`; remembers what it was given."""

    clock: FakeClock
    blocking: bool
    seen: list[tuple[int, ...]]
    alone: list[bool]

    def __call__(self, images: NDArray[np.uint8], *, alone: bool = False) -> NDArray[np.uint8]:
        self.seen.append(images.shape)
        self.alone.append(alone)
        self.clock.time += 0.25
        return images[:, :2, :2]


@dataclass
class Bench:
    """A classifier and a model on a clock that stands still."""

    clock: FakeClock
    events: Events
    resize: SlowResize
    classifier: Classifier
    model: ServedModel

    async def classify(
        self,
        body: Body,
        source: Source,
        *,
        model: ServedModel | None = None,
        deadline: float = NEVER,
        abandoned: bool = False,
    ) -> Classification:
        """The answer to a request whose body is here."""
        door = BodyHere(body, source, abandoned=abandoned)
        asked, answer = await self.classifier.answer(
            Announced(model or self.model, self.clock.now(), latest=deadline), door
        )
        assert asked is door
        return answer


@dataclass
class BodyHere:
    """A door to a body that need not be received, and that says itself what it asks for."""

    body: Body
    source: Source
    timeout_seconds: float | None = None
    priority: int = 0
    copied_bytes: int = 0
    light: bool = True
    abandoned: bool = False

    async def receive(self, entry: Entry) -> None:
        entry.charge(len(self.body))

    def is_light(self) -> bool:
        return self.light

    def understand(self) -> BodyHere:
        return self

    def is_abandoned(self) -> bool:
        return self.abandoned


@pytest.fixture(params=[True, False], ids=["on a worker thread", "on the event loop"])
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    clock, events = FakeClock(), Events()
    resize = SlowResize(clock, request.param, [], [])
    pool = WorkerPool(threads=4, name="aside")
    limits = ImageLimits(max_pixels=200_000, max_dimension=1_000, max_images=4)
    backend = NullBackend(outputs=OUTPUTS, max_batch_size=4)
    backend.serves_alone = True
    batcher = Batcher(
        backend=backend,
        limits=QueueLimits(4, 100, 1 << 30),
        clock=clock,
        hooks=events.hooks(),
    )
    model = ServedModel(
        name="m",
        version=3,
        image=TensorSpec("image", "UINT8", (-1, -1, -1, 3)),
        per_image=resize,
        crop_shape=None,
        batcher=batcher,
        queue_timeout_seconds=0.0,
        allow_timeout_override=False,
        metrics=Metrics(shared_folder=None).model("m"),
        config=parse_model_config(CLASSIFIER_CONFIG, name="m", where="m/config.pbtxt"),
        statistics=Statistics(),
        batched=None,
    )
    admission = Admission(max_requests=8, max_bytes=1 << 30, slowest_seconds=60, now=clock.now)
    preparation = Preparation(
        PreparingLimits(threads=1, max_wait_seconds=2.0, max_decode_seconds=10.0, max_dear=8),
        images=limits,
        rules=USUAL_RULES,
        admission=admission,
        clock=clock,
        on_death=events.fatal.append,
    )
    classifier = Classifier(admission=admission, preparation=preparation, pool=pool, clock=clock)
    yield Bench(clock, events, resize, classifier, model)
    assert (admission.requests, admission.nbytes, batcher.room.inside) == (0, 0, 0)
    await batcher.drain()
    assert preparation.close(timeout_seconds=10)
    assert pool.close(timeout_seconds=10)


@pytest.mark.parametrize(
    ("policy_seconds", "override", "asked_seconds", "allowed_seconds"),
    [
        (0, False, None, NEVER),
        (0, False, 2.0, 2.0),
        (5, False, None, 5.0),
        (5, True, None, 5.0),
        (5, True, 2.0, 2.0),
        (5, True, 9.0, 5.0),
    ],
)
async def test_the_deadline_is_the_shortest_of_the_policys_and_the_clients_from_the_first_byte_on(
    bench: Bench, policy_seconds: float, override: bool, asked_seconds: float | None, allowed_seconds: float
) -> None:
    model = replace(bench.model, queue_timeout_seconds=policy_seconds, allow_timeout_override=override)
    began = bench.clock.now() - 1.0
    head = Announced(model, began, timeout_seconds=asked_seconds)
    body = Announced(model, began)
    assert head.deadline() == body.deadline(asked_seconds) == began + allowed_seconds
    assert replace(head, latest=began + 1.5).deadline() == began + min(1.5, allowed_seconds)


async def test_a_client_may_not_set_a_timeout_where_the_policy_forbids_it(bench: Bench) -> None:
    model = replace(bench.model, queue_timeout_seconds=5, allow_timeout_override=False)
    with pytest.raises(MalformedRequest, match="allow_timeout_override"):
        Announced(model, 0.0).deadline(2.0)


async def test_an_answer_has_a_row_for_every_image_and_says_who_gave_it(bench: Bench) -> None:
    shape = RawShape(3, 5, 4)
    answer = await bench.classify(bytes(shape.nbytes), shape)
    assert answer.model is bench.model
    assert [{name: output.shape for name, output in row.items()} for row in answer.rows] == [
        {"classes": (5,), "probabilities": (5,), "indices": (5,)}
    ] * 4
    assert bench.resize.seen == [(4, 3, 5, 3)]


async def test_an_encoded_image_is_decoded_at_its_own_size(bench: Bench, cat: Photo, encode: Encode) -> None:
    await bench.classify(encode(cat, "PNG"), EncodedImage())
    assert bench.resize.seen == [(1, *cat.shape)]


async def test_a_file_that_comes_alone_is_resized_on_all_cores_and_files_in_company_are_not(
    bench: Bench, cat: Photo, encode: Encode
) -> None:
    file = encode(cat[:30], "PNG")
    await bench.classify(file, EncodedImage())
    assert bench.resize.alone == [True]
    await bench.classify([file, file], EncodedImages(["a", "b"]))
    assert bench.resize.alone == [True, False, False], "files of one request"
    first, second = (asyncio.ensure_future(bench.classify(file, EncodedImage())) for _ in range(2))
    await asyncio.gather(first, second)
    assert bench.resize.alone[4:] == [False], "the second of two requests"
    await bench.classify(file, EncodedImage())
    assert bench.resize.alone[-1]


async def test_several_files_are_answered_in_their_order_whatever_their_sizes(
    bench: Bench, cat: Photo, encode: Encode
) -> None:
    files = [encode(cat[:height], "PNG") for height in (30, 20, 10)]
    answer = await bench.classify(
        files,
        EncodedImages(["a", "b", "c"]),
    )
    assert len(answer.rows) == 3
    assert sorted(shape[1] for shape in bench.resize.seen) == [10, 20, 30]
    timings = answer.timings
    assert min(timings.decode_seconds, timings.resize_seconds, timings.queue_seconds) >= 0


async def test_the_first_bad_file_is_named_and_none_joins_a_batch(bench: Bench, cat: Photo, encode: Encode) -> None:
    """What it is refused for is what it would be refused for alone."""
    good = encode(cat, "PNG")
    for bad, expected in ((b"no image", UndecodableImage), (b"%PDF-1.4", UnsupportedMediaType)):
        with pytest.raises(expected, match=r"^b: the body "):
            await bench.classify(
                [good, bad, b"x"],
                EncodedImages("abc"),
            )
    assert bench.events.batches == []


async def test_a_deadline_of_several_files_is_that_of_all(bench: Bench) -> None:
    with pytest.raises(DeadlineExceeded, match=r"^the deadline passed"):
        await bench.classify(
            [b"x", b"y"],
            EncodedImages("ab"),
            deadline=bench.clock.now(),
        )


async def test_each_stage_is_timed_by_the_clock(bench: Bench) -> None:
    answer = await bench.classify(PIXELS, TINY)
    assert answer.timings.resize_seconds == 0.25
    assert (answer.timings.decode_seconds, answer.timings.queue_seconds) == (0, 0)


async def test_a_deadline_that_passed_with_the_body_spends_no_work(bench: Bench) -> None:
    with pytest.raises(DeadlineExceeded):
        await bench.classify(PIXELS, TINY, deadline=bench.clock.now())
    assert bench.resize.seen == []
    assert bench.events.batches == []


async def test_a_deadline_that_passed_while_preparing_never_reaches_the_graph(bench: Bench) -> None:
    deadline = bench.clock.now() + 0.25
    with pytest.raises(DeadlineExceeded):
        await bench.classify(PIXELS, TINY, deadline=deadline)
    assert len(bench.resize.seen) == 1
    assert bench.events.batches == []
    assert bench.events.discarded == ["expired"]


async def test_a_client_that_has_hung_up_costs_no_batch(bench: Bench) -> None:
    with pytest.raises(ClientDisconnected):
        await bench.classify(PIXELS, TINY, abandoned=True)
    assert bench.events.batches == []
    if bench.resize.blocking:
        assert bench.resize.seen == []  # nor a worker thread


@pytest.mark.parametrize(
    ("body", "source", "expected"),
    [
        (bytes(11), TINY, MalformedRequest),
        (b"no image", EncodedImage(), UndecodableImage),
    ],
)
async def test_what_the_client_did_wrong_never_joins_a_batch(
    bench: Bench, body: bytes, source: RawShape | EncodedImage, expected: type[Exception]
) -> None:
    with pytest.raises(expected):
        await bench.classify(body, source)
    assert bench.events.batches == []
    assert bench.resize.seen == []


async def test_an_image_over_the_limits_is_not_decoded(bench: Bench, encode: Encode) -> None:
    file = encode(np.zeros((500, 500, 3), np.uint8), "PNG")
    with pytest.raises(TooLarge):
        await bench.classify(file, EncodedImage())
    assert bench.resize.seen == []


@pytest.mark.parametrize(("wanted", "fits"), [((2, 2), True), ((-1, 2), True), ((2, 3), False), ((4, -1), False)])
async def test_a_plain_model_takes_only_its_own_size(bench: Bench, wanted: tuple[int, int], fits: bool) -> None:
    spec = TensorSpec("image", "UINT8", (-1, *wanted, 3))
    model = replace(bench.model, per_image=None, image=spec)
    if fits:
        answer = await bench.classify(PIXELS, TINY, model=model)
        assert answer.timings.resize_seconds == 0
    else:
        with pytest.raises(MalformedRequest, match=f"{wanted[0]}x{wanted[1]}.*2x2"):
            await bench.classify(PIXELS, TINY, model=model)
    assert bench.resize.seen == []


async def test_what_is_heavy_is_understood_by_one_thread_at_a_time(bench: Bench) -> None:
    """So that the event loop, which waits meanwhile, waits for no more than one; who has left by then is left out."""
    started: list[int] = []
    entered, may_end = threading.Event(), threading.Event()

    class Heavy(BodyHere):
        def understand(self) -> BodyHere:
            started.append(threading.get_ident())
            entered.set()
            may_end.wait()
            raise MalformedRequest("not JSON")

    announced = Announced(bench.model, bench.clock.now())
    doors = [Heavy(PIXELS, TINY, light=False, abandoned=number == 2) for number in range(4)]
    requests = [asyncio.create_task(bench.classifier.answer(announced, door)) for door in doors]
    await asyncio.to_thread(entered.wait)
    await settle()
    assert len(started) == 1
    may_end.set()
    results = await asyncio.gather(*requests, return_exceptions=True)
    refused = MalformedRequest
    assert [type(result) for result in results] == [refused, refused, ClientDisconnected, refused]
    assert len(started) == 3
