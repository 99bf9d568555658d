"""The poison run: what it sends, its verdict, and the command itself."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks import repositories
from benchmarks.__main__ import main
from benchmarks.poison import judge, values
from benchmarks.repositories import POISON
from topfive_loadgen.closed_loop import Exchange
from topfive_loadgen.http1 import Response


def test_one_in_a_hundred_is_poisonous_at_places_that_the_seed_decides() -> None:
    sent = values(1000, share=0.01, seed=1)
    assert sent.count(POISON) == 10
    assert all(value <= 240 for value in sent if value != POISON)
    assert sent == values(1000, share=0.01, seed=1)
    assert sent != values(1000, share=0.01, seed=2)


def exchanges(*answers: tuple[int, int, int]) -> Sequence[Exchange]:
    """Of (request, status, index)."""
    return [
        Exchange(0, request, 0.0, 0.1, Response(status, b'{"index":%d}' % index)) for request, status, index in answers
    ]


@pytest.mark.parametrize(
    ("answers", "missed"),
    [
        ([(0, 200, 7), (1, 500, 0)], []),
        ([(0, 500, 0), (1, 500, 0)], ["good images not answered right"]),
        ([(0, 200, 8), (1, 500, 0)], ["good images not answered right"]),
        ([(0, 200, 7), (1, 500, 0), (1, 200, 7)], ["poisonous images not answered 500"]),
        ([(0, 200, 7)], ["poisonous images sent"]),
    ],
)
def test_poison_costs_only_itself(answers: list[tuple[int, int, int]], missed: list[str]) -> None:
    """Every good image right, every poisonous one 500, and there were some."""
    checks, _ = judge([7, POISON], exchanges(*answers))
    assert [check.name for check in checks if not check.met] == missed


def test_answers_are_counted_by_kind_and_status() -> None:
    _, counts = judge([7, POISON], exchanges((0, 200, 7), (0, 500, 0), (1, 500, 0)))
    assert counts == {"good 200": 1, "good 500": 1, "poisonous 500": 1}


def test_the_model_that_fails_is_the_tiny_one() -> None:
    """The graph itself raises; what it can label it labels."""
    assert repositories.POISON > 240


def test_a_short_run_under_load_costs_no_good_image(tmp_path: Path) -> None:
    """The real service, batches of several clients, one image in a hundred on which the graph raises."""
    code = main(["poison", "--seconds", "1", "--json", str(tmp_path / "run.json")])
    result = json.loads((tmp_path / "run.json").read_text())
    assert result["counts"]["poisonous 500"] > 0
    assert result["mean_batch"] > 2
    assert code == 0, result["checks"]
