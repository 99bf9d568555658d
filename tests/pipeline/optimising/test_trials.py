"""Which trial wins, given what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from topfive_pipeline.optimising import trials
from topfive_pipeline.optimising.bench import Bench
from topfive_pipeline.optimising.machine import kinds
from topfive_pipeline.optimising.measuring import Speed
from topfive_pipeline.optimising.trials import choose_kind, choose_method, choose_scope

KINDS = kinds(("avx512_vnni",), machine="x86_64")


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that lets the graphs of a measurement, without the source, have these ratios."""

    def have(*ratios: float) -> None:
        def speeds(models: Sequence[Any], *_: object, **__: object) -> list[dict[int, Speed]]:
            assert len(models) == len(ratios) + 1
            return [{1: Speed(ratio, ratio, ratio), 8: Speed(ratio, ratio, ratio)} for ratio in (1.0, *ratios)]

        monkeypatch.setattr(trials, "speeds", speeds)

    return have


def test_the_fastest_kind_wins_and_slower_than_floating_point_is_refused_by_name(bench: Bench, measured: Any) -> None:
    measured(2.4, 1.2, 0.15)
    best, *others = choose_kind(bench, KINDS, "max")
    assert (best.recipe.kind.name, best.verdict) == ("U8S8", "")
    assert [(each.recipe.kind.name, each.verdict) for each in others] == [
        ("S8S8", "slower than U8S8"),
        ("U8U8", "refused: slower than FP32"),
    ]


def test_another_kind_wins_where_it_is_the_fastest(bench: Bench, measured: Any) -> None:
    measured(0.7, 1.6, 1.2)
    assert choose_kind(bench, KINDS, "max")[0].recipe.kind.name == "S8S8"


def test_the_calibration_that_changes_scores_least_wins(bench: Bench, measured: Any) -> None:
    measured(2.0, 1.0, 1.0)
    best = choose_kind(bench, KINDS, "max")[0]
    measured(2.0, 2.0, 2.0)
    first, *others = choose_method(bench, best, ("entropy", "percentile"))
    assert len(others) == 3
    assert all(each.distance.sqnr <= first.distance.sqnr and each.verdict.endswith("dB") for each in others)


def test_of_scopes_a_clearly_slower_one_is_out(bench: Bench, measured: Any) -> None:
    measured(2.0, 1.0, 1.0)
    best = choose_kind(bench, KINDS, "max")[0]
    measured(1.5, 1.9)
    first, layers, normalised = choose_scope(bench, best)
    assert (first.recipe.scope, first.recipe.folds_pixels) == ("all", True)
    assert layers.verdict == "slower"
    assert not normalised.recipe.folds_pixels


def test_of_scopes_a_clearly_faster_one_wins(bench: Bench, measured: Any) -> None:
    measured(2.0, 1.0, 1.0)
    best = choose_kind(bench, KINDS, "max")[0]
    measured(3.0, 2.0)
    first, *others = choose_scope(bench, best)
    assert first.recipe.scope == "layers"
    assert {each.verdict for each in others} == {"slower"}
