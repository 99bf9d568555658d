"""`topfive evaluate` as somebody types it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.pipeline.commands.conftest import Run
from topfive.ground.errors import ConfigurationError
from topfive_pipeline.commands import evaluating
from topfive_pipeline.commands.evaluating import main
from topfive_pipeline.judging.accuracy import Accuracy, Difference, Share
from topfive_pipeline.judging.footprint import Footprint
from topfive_pipeline.judging.intervals import Interval
from topfive_pipeline.judging.judge import Asked, Judgement
from topfive_pipeline.judging.limits import Limits, choose
from topfive_pipeline.judging.machine import Machine
from topfive_pipeline.judging.results import Judged
from topfive_pipeline.judging.speed import Pace, Spread

SHARE = Share(9, 0.9, Interval(0.8, 0.95))


def pace(case: str, batch: int, ratio: float) -> Pace:
    return Pace(case, batch, Spread(0.01 / ratio, 0.009, 0.02), Spread(ratio, ratio, ratio), (0.01,))


FIRST = Judged(
    "pets:1",
    "onnxruntime",
    "fp32",
    Accuracy(SHARE, SHARE, 0.5),
    None,
    (pace("alone", 1, 1), pace("batch 8", 8, 1)),
    Footprint(5_000_000, 0.5, 1e8, 1e6),
)
SECOND = replace(
    FIRST,
    title="pets:2",
    difference=Difference(-0.01, Interval(-0.03, 0.01), 2, 1, -0.01, 900, None, 0.98, 0.01, 0.1, 0.02, 0.01),
    paces=(pace("alone", 1, 2), pace("batch 8", 8, 2.5)),
)
JUDGEMENT = Judgement(
    models=(FIRST, SECOND),
    photos=100,
    part="judge",
    fingerprint="f" * 64,
    machine=Machine("a processor", 2, "1.0", "0.1"),
    slots=2,
    rounds=11,
    limits=Limits(),
    choice=None,
    warnings=("a warning",),
)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Asked]:
    """What is asked for; nothing is measured."""
    seen: list[Asked] = []

    def judge(asked: Asked, progress: object) -> Judgement:
        seen.append(asked)
        choice = choose(JUDGEMENT.models, asked.limits) if asked.limits.are_set else None
        return replace(JUDGEMENT, limits=asked.limits, choice=choice)

    monkeypatch.setattr(evaluating, "judge", judge)
    return seen


def test_tables_on_the_terminal(run: Run, asked: list[Asked]) -> None:
    ran = run(main, "pets:1", "pets:2", "--repository", "models", "--photos", "photos")
    assert (ran.code, ran.err) == (0, "")
    assert ran.words.startswith("pets:2 against pets:1, on 100 photos, the half that never calibrates")
    assert "version 2 −1.00 [−3.00, +1.00] −1.00 % 2 / 1" in ran.words
    assert "about 900 photos like these would tell whether it is worse or better than version 1" in ran.words
    assert "a warning" in ran.words
    assert asked == [
        Asked(models=["pets:1", "pets:2"], repository=Path("models"), photos=Path("photos"), batches=[1, 8, 32, 128])
    ]


def test_every_flag_is_asked_for(run: Run, asked: list[Asked]) -> None:
    flags = "--part all --at-most-loss 2 --at-most-ms 9 --at-most-mb 300 --prefer accuracy --batches 1,4 --rounds 3"
    ran = run(main, "pets:1", "--photos", "photos", *flags.split(), "--cores", "1")
    assert ran.code == 0
    assert asked[0] == Asked(
        models=["pets:1"],
        repository=Path("my_models"),
        photos=Path("photos"),
        part="all",
        batches=[1, 4],
        rounds=3,
        cores=1,
        limits=Limits(2, 9, 300, "accuracy"),
    )
    assert "Only pets:2 remains within 2 points of loss, 9 ms for an image alone and 300 MB" in ran.words


def test_engines_and_precisions_are_all_combined(run: Run, asked: list[Asked]) -> None:
    run(main, "pets:1", "--photos", "photos", "--engines", "onnxruntime,openvino", "--precisions", "fp32, int8")
    assert [str(way) for way in asked[0].ways] == [
        "onnxruntime-fp32",
        "onnxruntime-int8",
        "openvino-fp32",
        "openvino-int8",
    ]
    ran = run(main, "pets:1", "--photos", "photos", "--precisions", "fp64")
    assert (ran.code, ran.err.split(":")[1]) == (2, " --precisions")


def test_nothing_that_remains_is_exit_code_one(run: Run, asked: list[Asked]) -> None:
    ran = run(main, "pets:1", "pets:2", "--photos", "photos", "--at-most-mb", "1")
    assert ran.code == 1
    assert "No model is within 1 MB of memory" in ran.words


def test_json_is_one_document(run: Run, asked: list[Asked]) -> None:
    document = json.loads(run(main, "pets:1", "pets:2", "--photos", "photos", "--json").out)
    assert [model["title"] for model in document["models"]] == ["pets:1", "pets:2"]
    assert document["models"][1]["difference"]["interval"] == {"low": -0.03, "high": 0.01}


def test_a_report_is_written(run: Run, asked: list[Asked], tmp_path: Path) -> None:
    ran = run(main, "pets:1", "pets:2", "--photos", "photos", "--report", tmp_path / "report")
    assert ran.code == 0
    assert sorted(path.name for path in (tmp_path / "report").iterdir()) == [
        "judgement.json",
        "report.html",
        "report.md",
    ]
    assert "report.html" in "".join(ran.out.split())


@pytest.mark.parametrize("sizes", ["0", "1,,2", "x", "1;2", "-1"])
def test_sizes_that_are_none_are_refused(sizes: str, run: Run, asked: list[Asked]) -> None:
    ran = run(main, "pets:1", "--photos", "photos", f"--batches={sizes}")
    assert ran.code == 2
    assert ran.err == f"topfive evaluate: --batches {sizes}: say sizes with commas between them, as 1,8,32,128\n"


def test_a_report_that_cannot_be_drawn_is_refused_before_anything_is_measured(
    run: Run, asked: list[Asked], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise ConfigurationError("no plots")

    monkeypatch.setattr(evaluating, "check_can_draw", refuse)
    ran = run(main, "pets:1", "--photos", "photos", "--report", "report")
    assert (ran.code, ran.err, asked) == (2, "topfive evaluate: no plots\n", [])


def test_what_is_not_there_is_one_line_and_exit_code_two(run: Run, tmp_path: Path) -> None:
    ran = run(main, "pets", "--photos", tmp_path, "--repository", tmp_path / "none")
    assert ran.code == 2
    assert ran.err.startswith("topfive evaluate: model repository")
    assert ran.err.count("\n") == 1
