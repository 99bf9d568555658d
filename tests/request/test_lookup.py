"""Images that were answered before are answered from the cache: each by itself, the same, and only for the same model.

In a running service on tiny models, without its ports.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.testkit.image_files import encode
from tests.testkit.tiny_models import HIGHEST_VALUE, classifier_graph, write_version
from tests.testkit.trial_bench import SHAPE, Asker, Images, TrialBench, raw, trying, write_versions
from topfive.batching.batch import Unprepared
from topfive.ground.errors import BackendFailure, DeadlineExceeded, MalformedRequest, QueueFull, UndecodableImage
from topfive.ground.types import LookedUp
from topfive.images.decoding import RawShape
from topfive.request.classifier import Announced, Classification
from topfive.request.sources import EncodedImage, EncodedImages

ROOM: dict[str, Any] = {"answer_cache_bytes": 1 << 20}
IMAGES = "topfive_cache_images_total"


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_versions(tmp_path_factory.mktemp("models"))


@pytest.fixture
async def bench(versions: Path) -> AsyncIterator[TrialBench]:
    async with trying(versions, **ROOM) as service:
        yield service


def hits(answer: Classification) -> int:
    assert answer.looked_up is not None
    return answer.looked_up.hits


def labels(answer: Classification) -> list[str]:
    return [str(row["classes"][0]) for row in answer.rows]


def values(*each: int) -> Images:
    """One request of raw images of these values."""
    return Images(b"".join(bytes([value]) * SHAPE.nbytes for value in each), RawShape(2, 2, len(each)))


def picture(value: int) -> bytes:
    return encode(np.full((3, 5, 3), value, np.uint8), "PNG")


def files(*pictures: bytes) -> Images:
    return Images(list(pictures), EncodedImages([f"file {number}" for number in range(len(pictures))]))


def assert_equal(one: Classification, other: Classification) -> None:
    """To the last byte."""
    for ours, theirs in zip(one.rows, other.rows, strict=True):
        assert ours.keys() == theirs.keys()
        for name, output in ours.items():
            assert (output.dtype, output.shape) == (theirs[name].dtype, theirs[name].shape)
            assert output.tolist() == theirs[name].tolist()
    assert list(one.sent) == list(other.sent)


async def test_an_image_that_comes_again_is_answered_the_same_and_does_not_run(bench: TrialBench) -> None:
    model = bench.serving.models.find("tiny")
    first = await bench.ask(raw(1))
    ran = bench.metric("topfive_batch_size_count", model="classify")
    again = await bench.ask(raw(1))
    assert bench.metric("topfive_batch_size_count", model="classify") == ran
    assert_equal(first, again)
    assert again.model is model
    assert (hits(first), hits(again)) == (0, 1)
    assert isinstance(first.payloads[0], Unprepared)
    assert list(again.payloads) == [None]
    timings = again.timings
    assert timings.decode_seconds == timings.resize_seconds == timings.queue_seconds == timings.inference_seconds == 0


async def test_each_image_of_a_request_is_looked_up_by_itself(bench: TrialBench) -> None:
    await bench.ask(values(11, 13))
    mixed = await bench.ask(values(10, 11, 12, 13, 10))
    assert labels(mixed) == ["three 10", "three 11", "three 12", "three 13", "three 10"]
    assert [payload is None for payload in mixed.payloads] == [False, True, False, True, False]
    assert hits(mixed) == 2, "of two equal images of one request none was answered before"
    assert hits(await bench.ask(values(13, 12, 11, 10))) == 4


async def test_a_file_has_the_same_answer_however_it_came(bench: TrialBench) -> None:
    alone = await bench.ask(Images(picture(20), EncodedImage()))
    several = await bench.ask(files(picture(21), bytearray(picture(20)), memoryview(picture(22))))  # type: ignore[arg-type]
    assert labels(several) == ["three 21", "three 20", "three 22"]
    assert [payload is None for payload in several.payloads] == [False, True, False]
    assert several.sent[1] == alone.sent[0]
    assert hits(await bench.ask(Images(picture(22), EncodedImage()))) == 1


async def test_the_same_bytes_read_in_another_way_are_another_image(bench: TrialBench) -> None:
    body = next(each for each in map(picture, range(90)) if max(each) <= HIGHEST_VALUE)
    body += bytes(-len(body) % 12)
    await bench.ask(Images(body, EncodedImage()), version=1)
    count = len(body) // 12
    shapes = [RawShape(2, 2 * count, 1), RawShape(2 * count, 2, 1), RawShape(4 * count, 1, 1)]
    assert [hits(await bench.ask(Images(body, shape), version=1)) for shape in shapes] == [0, 0, 0]
    assert [hits(await bench.ask(Images(body, shape), version=1)) for shape in shapes] == [1, 1, 1]


async def test_a_body_that_is_too_short_or_too_long_is_refused_even_if_its_images_are_known(bench: TrialBench) -> None:
    await bench.ask(values(40))
    for body in (bytes([40]) * (SHAPE.nbytes - 1), bytes([40]) * (SHAPE.nbytes + 1)):
        with pytest.raises(MalformedRequest, match=r"the body has 1[13] bytes"):
            await bench.ask(Images(body, SHAPE))


async def test_only_answers_are_kept(bench: TrialBench) -> None:
    for _ in range(2):
        with pytest.raises(BackendFailure):
            await bench.ask(raw(HIGHEST_VALUE + 1))
        with pytest.raises(UndecodableImage):
            await bench.ask(Images(b"no image", EncodedImage()))


async def test_an_error_names_the_image_at_fault_among_those_that_are_known(bench: TrialBench) -> None:
    await bench.ask(files(picture(50), picture(51)))
    with pytest.raises(UndecodableImage, match=r"^file 1: "):
        await bench.ask(files(picture(50), b"no image", picture(51)))


async def test_versions_answer_for_themselves(bench: TrialBench) -> None:
    asked = [await bench.ask(raw(60), version=version) for version in (1, 2, 3, 1, 2, 3)]
    assert [label for answer in asked for label in labels(answer)] == ["value 60", "two 60", "three 60"] * 2
    assert [hits(answer) for answer in asked] == [0, 0, 0, 1, 1, 1]
    classifier = [await bench.ask(raw(60), model="classify") for _ in range(2)]
    assert [hits(answer) for answer in classifier] == [0, 1], "what resizes before it makes it another model"


async def test_a_long_image_is_hashed_aside_and_is_the_same(bench: TrialBench) -> None:
    shape = RawShape(400, 400, 1)
    body = np.random.default_rng(1).integers(0, 90, shape.nbytes, np.uint8).tobytes()
    assert [hits(await bench.ask(Images(body, shape))) for _ in range(2)] == [0, 1]
    assert hits(await bench.ask(Images(body[:-1] + b"\x5b", shape))) == 0, "its last byte is another"


async def test_what_is_copied_to_leave_known_pixels_out_is_within_the_bound(bench: TrialBench) -> None:
    await bench.ask(values(70))
    admission = bench.serving.admission
    admission.take(room := admission.max_bytes - 3 * SHAPE.nbytes)
    try:
        assert hits(await bench.ask(values(71, 72, 70))) == 1, "known or not, it holds at most what its body has"
    except QueueFull as full:
        assert "too many bytes" in str(full)  # noqa: PT017  # the body fits, the copy does not
    else:
        pytest.fail("the copy was not counted")
    finally:
        admission.give_back(room)


async def test_what_is_known_is_answered_where_the_queue_and_the_places_in_flight_are_full(bench: TrialBench) -> None:
    admission, room = bench.serving.admission, bench.serving.models.find("tiny").batcher.room
    await bench.ask(values(80))
    room.hold(512, 0)
    try:
        assert hits(await bench.ask(values(80))) == 1
        with pytest.raises(QueueFull, match="the queue"):
            await bench.ask(values(80, 81))
    finally:
        room.hold(-512, 0)
    admission.requests += admission.max_requests
    try:
        assert hits(await bench.ask(values(80))) == 1
        with pytest.raises(QueueFull, match="too many requests"):
            await bench.ask(values(81))
    finally:
        admission.requests -= admission.max_requests


async def test_a_deadline_that_has_passed_has_no_answer_even_if_it_is_known(bench: TrialBench) -> None:
    await bench.ask(values(90))
    door, now = values(90), bench.serving.clock.now()
    announced = Announced(bench.serving.models.find("tiny"), now - 2, timeout_seconds=1)
    with pytest.raises(DeadlineExceeded):
        await bench.serving.trials.answer(announced, door, Asker())
    _, answer = await bench.serving.trials.answer(replace(announced, timeout_seconds=60), door, Asker())
    assert hits(answer) == 1


async def test_hits_and_misses_are_counted(bench: TrialBench) -> None:
    before = [bench.metric(IMAGES, model="tiny", result=result) for result in ("hit", "miss")]
    await bench.ask(values(1, 2))
    await bench.ask(values(3, 2))
    after = [bench.metric(IMAGES, model="tiny", result=result) for result in ("hit", "miss")]
    assert [count - was for count, was in zip(after, before, strict=True)] == [1, 3]
    bench.serving.gauges.publish()
    cache = bench.serving.cache
    assert cache is not None
    assert bench.metric("topfive_cache_entries") == len(cache) == 3
    assert bench.metric("topfive_cache_bytes") == cache.nbytes
    assert bench.metric("topfive_cache_bytes_limit") == ROOM["answer_cache_bytes"]


async def test_with_any_mix_of_requests_answers_are_those_of_a_service_without_a_cache(versions: Path) -> None:
    """Also while the cache is so small that it forgets all the time."""
    draw = random.Random(3)
    async with trying(versions) as plain, trying(versions, answer_cache_bytes=14_000) as small:
        for _ in range(60):
            chosen = [draw.randrange(6) for _ in range(draw.randint(1, 4))]
            door = values(*chosen) if draw.random() < 0.5 else files(*map(picture, chosen))
            version = draw.choice((1, 2, None))
            assert_equal(await plain.ask(door, version=version), await small.ask(door, version=version))
        assert plain.serving.cache is None
        assert small.metric("topfive_cache_evictions_total", reason="full") > 10
        assert small.metric(IMAGES, result="hit") > 10


async def test_a_version_whose_files_were_replaced_answers_anew(tmp_path: Path) -> None:
    """Under the same number; and what runs for the old one meanwhile is not kept."""
    repository = write_versions(tmp_path / "models")
    async with trying(repository, model_control="explicit", **ROOM) as bench:
        assert await bench.label(5) == "three 5"
        entries = bench.serving.cache
        assert entries is not None
        assert len(entries) == 1
        write_version(repository, "classify", 3, classifier_graph(prefix="new"))
        old = bench.serving.models.find("tiny")
        await bench.serving.control.load("classify")
        assert len(entries) == 0, "at once"
        _, late = await bench.serving.trials.answer(Announced(old, bench.serving.clock.now()), raw(6), Asker())
        assert (labels(late), late.looked_up) == (["three 6"], None)
        assert (await bench.label(5), await bench.label(6)) == ("new 5", "new 6")
        assert len(entries) == 2
        await bench.serving.control.load("classify")
        assert len(entries) == 2, "nothing has changed"


async def test_equal_images_at_once_are_all_answered(bench: TrialBench) -> None:
    """They all run: none waits for another, so none can be lost with another."""
    answers = await asyncio.gather(*(bench.ask(raw(9)) for _ in range(8)))
    assert [labels(answer) for answer in answers] == [["three 9"]] * 8
    assert hits(await bench.ask(raw(9))) == 1


async def test_a_shadow_gets_what_was_answered_from_the_cache_as_it_came(versions: Path) -> None:
    """And no times are compared: of the live answer there are none."""
    async with trying(versions, shadow="tiny:2@100%", shadow_busy_share=1, **ROOM) as bench:
        for count in (1, 2):
            assert await bench.label(7) == "three 7"
            await bench.until("topfive_shadow_compared_total", count)
        shadow = bench.serving.trials.shadow
        assert shadow is not None
        assert [each["shadow"][0]["label"] for each in shadow.describe()["disagreements"]] == ["two 7"] * 2
        assert bench.metric("topfive_shadow_duration_seconds_count") == 2, "both arms, of the first request"


async def test_a_canary_is_judged_by_answers_that_were_computed(versions: Path) -> None:
    async with trying(versions, canary="tiny:2@99%", **ROOM) as bench:
        assert [await bench.label(7, Asker("one")) for _ in range(3)] == ["two 7"] * 3
        assert bench.metric("topfive_canary_requests_total", code="200") == 3
        assert bench.metric("topfive_canary_duration_seconds_count") == 1


def test_what_was_looked_up_is_whole_if_all_was_there() -> None:
    assert [LookedUp(2, hits, 0.0).is_whole for hits in range(3)] == [False, False, True]
