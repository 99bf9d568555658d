"""The best of several is found beside noise, and what is no better is not called better."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.pipeline.tuning.simulated import Machine, contest
from topfive_pipeline.tuning.choosing import CHANCE, Duel, loads_of, loads_of_final, ratio, sign_test
from topfive_pipeline.under_load.latency_objective import parsed

SERVERS = {1: (100.0, 0.01), 2: (105.0, 0.03), 3: (130.0, 0.012), 4: (60.0, 0.002), 5: (128.0, 0.02), 6: (90.0, 0.01)}


@given(st.permutations(range(2, 7)), st.sampled_from(["p99:50ms", "throughput"]))
def test_halving_finds_the_best_whatever_the_order(order: list[int], text: str) -> None:
    machine = Machine({number: SERVERS[number] for number in (1, *order)})
    running, challengers = contest(machine, parsed(text))
    best = running.halve(challengers)
    assert best.setting.instances == 3
    assert running.leads(best)
    assert sorted(Counter(each.fate for each in challengers).values()) == [1, 1, 1, 2]


def test_a_tight_limit_is_another_question_than_the_throughput() -> None:
    """The one that can do least in all is the only one fast enough."""
    running, challengers = contest(Machine(SERVERS), parsed("p99:5ms"))
    best = running.halve(challengers)
    assert best.setting.instances == 4
    duel = running.final(best, 5)
    assert (duel.ratios, duel.is_clear) == ((math.inf,) * 5, True)  # what is there holds at no rate


@pytest.mark.parametrize("text", ["p99:50ms", "throughput"])
@pytest.mark.parametrize("count", [1, 2, 5, 9])
def test_the_loads_are_as_many_as_were_planned(text: str, count: int) -> None:
    servers = {number: (100.0 + number, 0.01) for number in range(count + 1)}
    machine, objective = Machine(servers), parsed(text)
    running, challengers = contest(machine, objective)
    running.round([running.current])
    machine.asked.clear()
    best = running.halve(challengers)
    assert len(machine.asked) == loads_of(count, objective=objective)
    machine.asked.clear()
    running.final(best, 5)
    assert len(machine.asked) == loads_of_final(5, objective=objective)


def test_candidates_take_turns_load_by_load_and_none_is_always_first() -> None:
    machine = Machine({1: (100.0, 0.01), 2: (100.0, 0.01)})
    running, (other,) = contest(machine, parsed("p99:50ms"))
    running.final(other, 2)
    first, second = ([who for number, who in machine.asked if number == wanted] for wanted in (1, 2))
    assert (first, second) == ([2, 1] * 4, [1, 2] * 2)


def test_what_is_no_better_is_rarely_called_better() -> None:
    """Of 400 duels of equal servers with noise of 10 % on their capacity."""
    wrong = 0
    for seed in range(400):
        running, (other,) = contest(
            Machine(dict.fromkeys((1, 2), (100.0, 0.01)), noise=0.1, seed=seed), parsed("throughput")
        )
        wrong += running.final(other, 5).is_clear
    assert 0 < wrong <= 400 * CHANCE


def test_what_is_a_fifth_better_is_found_beside_the_same_noise() -> None:
    found = 0
    for seed in range(100):
        servers = {1: (100.0, 0.01), 2: (130.0, 0.01)}
        running, (other,) = contest(Machine(servers, noise=0.05, seed=seed), parsed("throughput"))
        found += running.final(other, 8).is_clear
    assert found >= 95


def test_a_clear_win_needs_size_and_constancy() -> None:
    assert Duel((1.2,) * 5).is_clear
    assert not Duel((1.2,) * 4).is_clear  # 1 in 16 times by chance
    assert not Duel((1.04,) * 8).is_clear
    assert not Duel((1.2, 1.2, 1.2, 1.2, 0.9)).is_clear
    assert Duel((1.2,) * 7 + (0.9,)).is_clear


def test_the_sign_test_is_that_of_fair_coins() -> None:
    assert sign_test(5, 5) == 1 / 32
    assert sign_test(7, 8) == 9 / 256
    assert sign_test(0, 8) == 1


def test_ratios_to_nothing() -> None:
    assert (ratio(0.0, 0.0), ratio(1.0, 0.0), ratio(0.0, 2.0)) == (1.0, math.inf, 0.0)
