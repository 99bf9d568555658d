from __future__ import annotations

from topfive_pipeline.proof.verdict import Finding, Proof

OK, FAILED, NOT_TRIED = Finding("a", True, "x"), Finding("b", False, "y"), Finding("c", None, "z")


def test_the_failure_is_the_first_step_that_differs() -> None:
    assert Proof((OK, FAILED, Finding("d", False, "later"))).failure == FAILED


def test_what_was_not_tried_is_no_failure() -> None:
    assert Proof((OK, NOT_TRIED)).failure is None
    assert Proof(()).failure is None


def test_json_has_steps_and_figures() -> None:
    assert Proof((OK, FAILED), {"worst": 0.5}).as_json() == {
        "passed": False,
        "steps": [{"step": "a", "passed": True, "said": "x"}, {"step": "b", "passed": False, "said": "y"}],
        "figures": {"worst": 0.5},
    }
