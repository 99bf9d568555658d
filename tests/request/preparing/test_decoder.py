"""A decode apart is the same decode, and one that can be ended: by a bound, by who asked for it, by itself."""

from __future__ import annotations

import os
import resource
import signal
import sys
import threading
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Final

import numpy as np
import pytest
from PIL import Image
from skimage import data

from tests.testkit.image_files import Pixels, encode
from topfive.ground.errors import BackendFailure, NotReady, QueueFull, TooLarge, UndecodableImage, UnsupportedMediaType
from topfive.images.decoding import USUAL_RULES, DecodingRules, ImageLimits, decode
from topfive.request.preparing import decoder as module
from topfive.request.preparing.decoder import Decoder

LIMITS: Final = ImageLimits(max_pixels=25_000_000, max_dimension=32_768, max_images=8)
PHOTO: Final[Pixels] = data.astronaut()[:200, :304]
SMALL: Final = encode(PHOTO, "JPEG")
LONG: Final = encode(Image.new("RGBA", (5000, 5000), (9, 9, 9, 99)), "WEBP", lossless=True)
"""A kilobyte that takes more than half a second."""
SECONDS: Final = 30.0


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    decoder = Decoder(LIMITS, USUAL_RULES, seconds=60)
    yield decoder
    decoder.close()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_the_pixels_are_those_of_a_decode_here(decoder: Decoder, kind: str) -> None:
    body = encode(PHOTO, kind)
    assert np.array_equal(decoder.decode(memoryview(body)), decode(body, LIMITS))


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (SMALL[:5000], UndecodableImage),
        (b"%PDF-1.7", UnsupportedMediaType),
        (encode(Image.new("L", (6000, 5000)), "PNG"), TooLarge),
    ],
    ids=["cut short", "no image", "too large"],
)
def test_what_cannot_be_decoded_is_refused_as_here(decoder: Decoder, body: bytes, error: type[Exception]) -> None:
    with pytest.raises(error) as here:
        decode(body, LIMITS)
    with pytest.raises(error) as apart:
        decoder.decode(body)
    assert str(apart.value) == str(here.value)
    assert apart.value.logged == here.value.logged  # type: ignore[attr-defined]
    assert decoder.decode(SMALL).shape == (1, *PHOTO.shape)


def test_the_rules_are_those_of_the_service() -> None:
    lenient = Decoder(LIMITS, DecodingRules(allow_damaged_images=True), seconds=60)
    assert lenient.decode(SMALL[:9000]).shape == (1, *PHOTO.shape)
    lenient.close()


def test_a_bound_ends_what_takes_too_long_and_the_next_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    short = Decoder(LIMITS, USUAL_RULES, seconds=60)
    short.decode(SMALL)
    assert short._process is not None
    first = short._process.pid
    short._seconds = 0.01
    monkeypatch.setattr(short, "_cpu_seconds", count(0).__next__)  # as if no other process wanted the processors
    with pytest.raises(TooLarge, match=r"longer than 0\.01 s"):
        short.decode(LONG)
    assert not Path(f"/proc/{first}").exists()
    short._seconds = 60
    assert short.decode(SMALL).shape == (1, *PHOTO.shape)
    short.close()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody tells what another process has had")
def test_an_image_that_was_left_no_time_is_for_later() -> None:
    """It is the machine that is too busy, not the image that is too large."""
    starved = Decoder(LIMITS, USUAL_RULES, seconds=60)
    starved.decode(SMALL)
    assert starved._process is not None
    os.kill(starved._process.pid, signal.SIGSTOP)
    starved._seconds = 0.05
    with pytest.raises(QueueFull, match="too busy to decode"):
        starved.decode(SMALL)
    starved._seconds = 60
    assert starved.decode(SMALL).shape == (1, *PHOTO.shape)
    starved.close()


def test_who_asked_for_it_can_end_it_and_nothing_else(decoder: Decoder) -> None:
    mine, theirs = object(), object()
    ended: list[BaseException] = []

    def run() -> None:
        try:
            decoder.decode(LONG, wanted=mine)
        except UndecodableImage as error:
            ended.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    while decoder._wanted is not mine:
        pass
    decoder.end(theirs)
    decoder.end(None)
    assert thread.is_alive()
    decoder.end(mine)
    thread.join(SECONDS)
    assert len(ended) == 1
    decoder.end(mine)  # it has ended: nothing is there that it could be taken for
    assert decoder.decode(SMALL).shape == (1, *PHOTO.shape)


def test_a_file_that_crashes_what_decodes_it_costs_only_itself(decoder: Decoder) -> None:
    decoder.decode(SMALL)
    assert decoder._process is not None
    os.kill(decoder._process.pid, signal.SIGSEGV)
    decoder._process.wait(SECONDS)
    with pytest.raises(UndecodableImage, match="signal 11"):
        decoder.decode(SMALL)
    assert decoder.decode(SMALL).shape == (1, *PHOTO.shape)


@pytest.mark.parametrize("code", [0, 3])
def test_a_process_that_ends_by_itself_is_our_fault(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    monkeypatch.setattr(module, "_COMMAND", f"raise SystemExit({code})")
    broken = Decoder(LIMITS, USUAL_RULES, seconds=60)
    with pytest.raises(BackendFailure, match=f"exit code {code}"):
        broken.decode(SMALL)
    broken.close()


def test_where_no_file_can_be_opened_it_is_for_later(decoder: Decoder) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    decoder.decode(SMALL)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        for _ in range(2):  # with the process that there was, and where one would have to be started
            with pytest.raises(NotReady, match="Too many open files"):
                decoder.decode(SMALL)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert decoder.decode(SMALL).shape == (1, *PHOTO.shape)


def test_once_closed_it_decodes_no_more() -> None:
    closed = Decoder(LIMITS, USUAL_RULES, seconds=60)
    closed.decode(SMALL)
    closed.close()
    with pytest.raises(NotReady, match="stops"):
        closed.decode(SMALL)


def test_it_gives_way_to_everything_else(decoder: Decoder) -> None:
    decoder.decode(SMALL)
    assert decoder._process is not None
    assert os.getpriority(os.PRIO_PROCESS, decoder._process.pid) == min(19, os.nice(0) + 10)
