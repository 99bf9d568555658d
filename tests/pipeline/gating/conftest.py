"""What the tests of the gate share: two versions of a small model on real servers, started once, and its photos."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.testkit.serving_process import serving
from topfive_pipeline.gating import starting
from topfive_pipeline.gating.contestants import Pair
from topfive_pipeline.gating.starting import Competing, Wanted, competing, started
from topfive_pipeline.proof.photos import Photo, read_photos
from topfive_pipeline.proof.served import Served


@contextmanager
def warm_contestants() -> Iterator[None]:
    """Meanwhile the servers of contestants are forks that have imported all: the same code in a fifth of the time."""

    @contextmanager
    def serve(repository: Path, flags: Sequence[str]) -> Iterator[Served]:
        with serving("--model-repository", str(repository), *flags) as service:
            yield Served(service.port, service.pid)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(starting, "serve", serve)
        yield


@pytest.fixture(scope="session")
def both(judged_folder: Path) -> Competing:
    """pets:3, which takes red for green, wants to go live in place of pets:1."""
    return competing(Wanted(candidate="pets:3", live="pets:1", repository=judged_folder / "repository"))


@pytest.fixture(scope="session")
def pair(both: Competing) -> Iterator[Pair]:
    """Both of them on servers of their own."""
    with warm_contestants(), started(both, lambda _: None, cores=1) as found:
        yield found


@pytest.fixture
def known_photos(judged_folder: Path) -> list[Photo]:
    """60 photos whose classes are known."""
    return read_photos(judged_folder / "photos")
