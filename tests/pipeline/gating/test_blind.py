"""Judging is blind, goes on where it stopped, and can be undone until the result is seen."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast

import pytest

from tests.pipeline.gating.sides import answered, differing
from topfive.ground.errors import ConfigurationError
from topfive_pipeline.gating.blind import Choice, NotAsked, Session, now
from topfive_pipeline.gating.differing import Differing, Question, find
from topfive_pipeline.gating.judgements import opened, read

Begin = Callable[..., Session]


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    return tmp_path / "judged.jsonl"


@pytest.fixture
def found(tmp_path: Path) -> Differing:
    return differing(tmp_path, 8)


@pytest.fixture
def begin(found: Differing, stored: Path) -> Iterator[Begin]:
    """A function that begins a session, by default ada's; the one before has ended."""
    with ExitStack() as stack:

        def session(*, judge: str = "ada", of: Differing = found, **options: Any) -> Session:
            stack.close()
            store = stack.enter_context(opened(stored))
            return Session(
                of, store, judge=judge, standing=read(stored), clock=lambda: "2026-11-27T12:00:00", **options
            )

        yield session


def asked(session: Session) -> dict[str, Any]:
    return cast(dict[str, Any], session.state()["question"])


def choose_all(session: Session, choice: Choice) -> None:
    while session.state()["question"] is not None:
        session.choose(asked(session)["number"], choice)


def first(side: dict[str, Any]) -> str:
    return cast(str, side["predictions"][0]["label"])


def sides_of(session: Session) -> dict[str, tuple[str, str]]:
    """What stood left and right for each photo, judged as equal."""
    seen = {}
    while session.state()["question"] is not None:
        question = asked(session)
        number = question["number"]
        seen[session.photo(number).key] = (first(question["left"]), first(question["right"]))
        session.choose(number, "equal")
    return seen


def test_nothing_tells_whose_answer_is_where(begin: Begin) -> None:
    session = begin()
    told = json.dumps(session.state())
    assert not any(word in told for word in ("candidate", "live", "photo-", "sha256"))
    with pytest.raises(NotAsked):
        session.result()


def test_each_answer_is_left_on_half_of_the_photos(begin: Begin) -> None:
    seen = sides_of(begin())
    assert sorted(left == "label 0" for left, _ in seen.values()) == [False] * 4 + [True] * 4


def test_judges_see_other_orders_and_sides_and_the_same_photos(begin: Begin) -> None:
    runs = [sides_of(begin(judge=judge, most=5)) for judge in ("ada", "bob", "cyd")]
    assert len({frozenset(seen) for seen in runs}) == 1
    assert len({tuple(seen.items()) for seen in runs}) == 3


def test_who_comes_back_goes_on_where_he_stopped(begin: Begin) -> None:
    session = begin()
    for _ in range(3):
        session.choose(asked(session)["number"], "left")
    before = session.state()
    again = begin()
    assert again.state() == before
    assert before["done"] == 3


def test_a_choice_is_stored_for_whoever_stood_there(begin: Begin, stored: Path) -> None:
    session = begin()
    left = first(asked(session)["left"])
    session.choose(0, "left")
    (judgement,) = read(stored)
    assert judgement.verdict == ("live" if left == "label 0" else "candidate") == judgement.left
    assert (judgement.judge, judgement.at) == ("ada", "2026-11-27T12:00:00")
    assert judgement.photo == session.photo(0).digest


def test_the_last_can_be_undone_also_after_a_break(begin: Begin, stored: Path) -> None:
    session = begin()
    session.choose(0, "left")
    session.choose(1, "right")
    session = begin()
    assert session.undo()["done"] == 1
    assert asked(session)["number"] == 1
    session.choose(1, "equal")
    assert [each.verdict for each in read(stored)][1] == "equal"
    session.undo()
    session.undo()
    assert not session.state()["can_undo"]
    with pytest.raises(NotAsked):
        session.undo()


def test_a_choice_of_another_window_is_refused(begin: Begin) -> None:
    session = begin()
    session.choose(0, "left")
    for number in (0, 2):
        with pytest.raises(NotAsked):
            session.choose(number, "left")
    assert session.done == 1


def test_the_result_ends_it(begin: Begin) -> None:
    session = begin()
    for number in range(8):
        question = asked(session)
        session.choose(number, "left" if first(question["left"]) != "label 0" else "right")
    assert session.state()["can_undo"]
    result = cast(dict[str, Any], session.result())
    assert (result["won"], result["lost"], result["win_rate"]) == (8, 0, 1.0)
    assert result["p_two_sided"] == pytest.approx(2 / 2**8)
    assert result["balance"] == pytest.approx(8 / 9)
    assert {row["verdict"] for row in result["rows"]} == {"candidate"}
    assert {row["live"] for row in result["rows"]} == {"label 0 90.0 %"}
    with pytest.raises(NotAsked):
        session.undo()
    assert not begin().state()["can_undo"]  # nor by who comes back


def test_the_result_is_of_all_judges(begin: Begin) -> None:
    choose_all(begin(), "equal")
    session = begin(judge="bob")
    assert session.state()["done"] == 0
    choose_all(session, "neither")
    result = session.result()
    assert result["judges"] == {"ada": 8, "bob": 8}
    assert result["tied"] == 8


def test_copies_of_a_photo_are_asked_once(begin: Begin, tmp_path: Path) -> None:
    answers = answered(tmp_path, [1, 1], [0, 0])
    answers.photos[1].path.write_bytes(answers.photos[0].path.read_bytes())
    assert begin(of=find(answers)).photos == 1


def test_nothing_to_judge_is_refused(begin: Begin) -> None:
    with pytest.raises(ConfigurationError, match="the two differ on no photo, so there is nothing to judge"):
        begin(of=Differing(9, ()))


def test_a_photo_has_its_place_in_the_judges_order(begin: Begin, found: Differing) -> None:
    session = begin()
    shown: list[Question] = [session.photo(number) for number in range(session.photos)]
    assert sorted(each.place for each in shown) == [each.place for each in found.questions]
    for number in (-1, 8):
        with pytest.raises(IndexError):
            session.photo(number)


def test_the_moment_is_said_in_utc() -> None:
    assert now().endswith("+00:00")
