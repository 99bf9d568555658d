"""Runs beside each other: what differs, and what must not be compared."""

from __future__ import annotations

from tests.pipeline.experiments.runs import stored
from topfive_pipeline.experiments.comparing import Row, compare, run_with, shortened


def test_parameters_that_are_the_same_are_left_out_and_figures_are_all_there() -> None:
    one = stored(1, params={"part": "judge", "budget": "0.5"}, metrics={"top_1": 0.9, "loss": 0.1234567})
    two = stored(2, params={"part": "judge", "budget": "1"}, metrics={"top_1": 0.9})
    compared = compare([one, two])
    assert compared.params == (Row("budget", ("0.5", "1")),)
    assert compared.metrics == (Row("loss", ("0.1235", "–")), Row("top_1", ("0.9", "0.9")))
    assert compared.tags == ()
    assert compared.doubts == ()


def test_accuracies_of_different_photos_are_said_to_be_incomparable() -> None:
    runs = [stored(number, tags={"data.sha256": digit * 64}) for number, digit in enumerate("aab", 1)]
    (doubt,) = compare(runs).doubts
    assert doubt.startswith(
        f"these runs are of different photos (aaaaaaaa: {runs[0].short}, {runs[1].short}; bbbbbbbb: {runs[2].short})"
    )


def test_a_run_without_photos_beside_one_with_them_is_named() -> None:
    (doubt,) = compare([stored(1), stored(2, tags={})]).doubts
    assert doubt.startswith(f"no photos are recorded of {stored(2).short}")


def test_a_run_without_accuracies_may_be_of_any_photos() -> None:
    assert compare([stored(1), stored(2, metrics={"size_mb": 5.0}, tags={"data.sha256": "b" * 64})]).doubts == ()


def test_times_of_different_machines_are_said_to_be_incomparable() -> None:
    runs = [
        stored(number, metrics={"ms_alone": 5.0}, tags={"data.sha256": "a", "cpu": cpu})
        for number, cpu in enumerate(("one", "other"), 1)
    ]
    assert ["timed on different processors" in doubt for doubt in compare(runs).doubts] == [True]
    untimed = [stored(number, tags={"data.sha256": "a", "cpu": str(number)}) for number in (1, 2)]
    assert compare(untimed).doubts == ()


def test_the_commit_is_what_a_run_was_run_with_and_a_digest_is_shortened_for_people() -> None:
    assert run_with(stored(1, tags={"mlflow.source.git.commit": "c0ffee"})) == {"git.commit": "c0ffee"}
    assert (shortened("a" * 64), shortened("max")) == ("aaaaaaaaaaaa…", "max")


def test_what_mlflow_adds_for_itself_is_no_difference() -> None:
    runs = [stored(number, tags={"mlflow.runName": str(number), "data.sha256": "a"}) for number in (1, 2)]
    assert compare(runs).tags == ()
