"""What the rounds say of a candidate beside the live version."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tests.pipeline.gating.loads import EIGHT, OPEN, PLAN, load, measured
from topfive_pipeline.gating import load_beside
from topfive_pipeline.gating.findings import Finding
from topfive_pipeline.gating.loading import Load, Measured, Role


def found(candidate: Sequence[Load], live: Sequence[Load]) -> dict[str, Finding]:
    return by_name(measured(candidate, live))


def by_name(all_of_it: Measured) -> dict[str, Finding]:
    return {finding.name: finding for finding in load_beside.findings(all_of_it, "random")}


def test_the_same_speed_meets_all_that_was_measured() -> None:
    rounds = [load(0.05), load(0.051), load(0.052), load(0.05)]
    told = found(rounds, rounds)
    assert told.pop("random, open loop: p99 beside live").met is None
    assert [name for name, finding in told.items() if finding.met is not True] == []
    assert told["random × 8: p99 beside live"].seen == "1.00 times (52.0 ms beside 52.0 ms over all rounds)"
    assert "158/s beside 158/s" in told["random × 8: throughput beside live"].seen


def test_twice_as_slow_is_missed_in_latency_and_throughput() -> None:
    told = found([load(0.1), load(0.101), load(0.099)], [load(0.05), load(0.05), load(0.05)])
    assert told["random × 8: p99 beside live"].met is False
    assert told["random × 8: p99 beside live"].seen.startswith("2.00 times")
    assert told["random × 8: throughput beside live"].met is False
    assert told["random × 8: throughput beside live"].seen.startswith("0.50 times")


def test_what_noise_leaves_undecided_says_how_many_rounds_would_tell() -> None:
    told = found([load(0.05), load(0.07), load(0.058)], [load(0.05), load(0.05), load(0.05)])
    finding = told["random × 8: p99 beside live"]
    assert finding.met is None
    assert finding.note.startswith("the 3 rounds spread from 1.00 to 1.40 times as long: about ")
    assert finding.note.endswith("more would tell")
    assert told["random, all loads: tail latency beside live"].met is None
    alone = found([load(0.05)], [load(0.05)])["random × 8: p99 beside live"]
    assert (alone.met, alone.note) == (None, "one round cannot tell: its noise is not known")


def test_one_load_within_the_limit_need_not_prove_it_but_all_together_must() -> None:
    told = found([load(0.05), load(0.06), load(0.052)], [load(0.05), load(0.05), load(0.05)])
    alone, together = told["random × 8: p99 beside live"], told["random, all loads: tail latency beside live"]
    assert alone.met is True
    assert alone.note.startswith("not proven by this load alone: the 3 rounds spread from 1.00 to 1.20")
    assert (together.met, together.seen) == (None, "1.08 times")


def test_more_failures_are_missed_if_chance_does_not_explain_them() -> None:
    good = [load(0.05)]
    one = found([load(0.05, failures={"503 busy": 1})], good)["random: error ratio beside live"]
    assert (one.met, one.reasons) == (None, ("1 × 503 busy",))
    assert one.note.endswith(
        "1 failures of 201 requests beside 0 of 200, more than live in 1 of 1 loads: it may be chance"
    )
    many = found([load(0.05, failures={"503 busy": 40})] * 5, good * 5)["random: error ratio beside live"]
    assert (many.met, many.seen, many.wanted) == (False, "16.67%", "≤ 0.00%")
    fewer = found(good, [load(0.05, failures={"503 busy": 40})])["random: error ratio beside live"]
    assert fewer.met is True


def test_one_burst_of_refusals_is_no_proof_for_it_meets_either_version() -> None:
    """40 requests that a full queue refused at once are one event, and no forty."""
    burst = [load(0.05, failures={"429 queue_full": 40}), *[load(0.05)] * 5]
    told = found(burst, [load(0.05)] * 6)["random: error ratio beside live"]
    assert (told.met, told.seen) == (None, "3.23%")
    assert "more than live in 1 of 6 loads" in told.note


def test_a_candidate_that_answers_nothing_is_no_fast_one() -> None:
    told = found([load(0.05, count=0, failures={"500 broken": 9})], [load(0.05)])
    assert (told["random × 8: p99 beside live"].met, told["random × 8: throughput beside live"].met) == (False, False)
    assert told["random × 8: p99 beside live"].reasons == ("500 broken",)


def test_rounds_of_a_doubtful_generator_are_not_compared() -> None:
    late = [load(0.5, fault="the generator fell behind"), load(0.5, fault="the generator fell behind")]
    told = by_name(measured(late, [load(0.05), load(0.05)], cell=OPEN))
    finding = told["random, open loop: p99 beside live"]
    assert (finding.met, finding.note) == (None, "the generator fell behind")


def test_a_server_that_ends_under_load_is_the_candidates_fault_or_makes_all_unknown() -> None:
    blamed: tuple[tuple[Role, bool | None], ...] = (("candidate", False), ("live", None))
    for role, met in blamed:
        ended = measured([], [])
        ended.ended[role] = "random × 8: Connection refused"
        told = by_name(ended)
        assert told["the servers stay up under load"].met is met
        assert "Connection refused" in told["the servers stay up under load"].seen
        assert told["random × 8: p99 beside live"].note == "the loads ended before it"


def test_a_load_of_few_answers_is_compared_by_p90_for_its_p99_is_its_slowest() -> None:
    """Of 40 answers 39 take as long as ever, and one of the candidate's takes ten times that."""
    hiccup = [load([0.05] * 39 + [0.5], count=40)] * 3
    told = found(hiccup, [load(0.05, count=40)] * 3)
    assert "random × 8: p99 beside live" not in told
    assert told["random × 8: p90 beside live"].seen == "1.00 times (50.0 ms beside 50.0 ms over all rounds)"


def test_a_tolerance_is_what_the_plan_says() -> None:
    rounds = [load(0.06), load(0.0601), load(0.06)], [load(0.05), load(0.05), load(0.05)]
    strict, lax = (by_name(measured(*rounds, plan=replace(PLAN, tolerance=share))) for share in (0.1, 0.25))
    name = f"{EIGHT.title}: p99 beside live"
    assert (strict[name].met, lax[name].met) == (False, True)
    assert (strict[name].wanted, lax[name].wanted) == ("≤ 1.10 times", "≤ 1.25 times")
