"""A shape, second by second: who was there, what was answered, and how fast."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from loadtests import corpus, query_files
from loadtests.closed_loop import points, run_shape
from loadtests.course import Course
from loadtests.liveness import Liveness
from loadtests.locust_process import GeneratorFailed, Load
from loadtests.oracle import Oracle
from loadtests.recorder import Sample
from loadtests.run_plan import MODEL, REPOSITORY
from loadtests.shapes import ShapeSize
from tests.testkit.serving_process import ROOT, ServingProcess


def sample(ended: float, *, took: float = 0.1, error: str = "", users: int = 4) -> Sample:
    return Sample(ended - took, ended, "raw", "photo", error, users)


def test_each_second_has_its_own_figures_and_none_the_errors_latency() -> None:
    samples = [
        *(sample(10.0 + at / 10, took=0.2) for at in range(10)),
        sample(11.2, took=0.5, users=32),
        sample(11.4, took=9.0, error="429 queue_full", users=32),
        sample(13.1),
        sample(14.05),
    ]
    first, second, fourth = points(samples, began=10.0)
    assert (first.at, first.users, first.throughput, first.errors) == (0.0, 4, 10.0, 0)
    assert (second.at, second.users, second.throughput, second.errors) == (1.0, 32, 1.0, 1)
    assert second.p99 is not None
    assert round(second.p99, 6) == 0.5
    assert fourth.at == 3.0


def test_a_second_of_errors_alone_has_no_latency() -> None:
    found, *_ = points([sample(0.5, error="504 deadline_exceeded"), sample(1.5)], began=0.0)
    assert (found.p50, found.p99, found.throughput, found.errors) == (None, None, 0.0, 1)


def test_the_last_second_which_was_cut_short_is_left_out() -> None:
    assert [point.at for point in points([sample(0.5), sample(1.5), sample(2.1)], began=0.0)] == [0.0, 1.0]


def test_a_shape_whose_generator_dies_is_no_shape(service: ServingProcess, tmp_path: Path) -> None:
    """Half of it would look like a whole one."""
    photos = corpus.photos(ROOT / "docs", seed=1)
    query_files.write(corpus.build(photos, Oracle(REPOSITORY, MODEL), mixes=["random"], scenarios=["raw"]), tmp_path)
    options = ["--load-shape", "soak", "--shape-users", "1", "--shape-seconds", "60"]
    load = Load(
        url=f"http://127.0.0.1:{service.port}",
        corpus=tmp_path,
        mix="random",
        workers=1,
        scenarios=["raw"],
        shape=options,
    )

    def kill(_: str) -> None:
        for one in psutil.Process().children():
            if one.status() != psutil.STATUS_ZOMBIE and "locust" in one.cmdline():
                one.kill()

    course = Course(zero=0.0, say=kill, following=Liveness(zero=0.0))
    with pytest.raises(GeneratorFailed, match="Locust ended with -9"):
        run_shape("soak", load, ShapeSize(users=1, seconds=60.0), course)
