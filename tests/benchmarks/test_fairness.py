"""The fairness run: its figures and checks on known answers, and the keys that it gives to its services."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import fairness as f
from benchmarks.fairness import Figures, Part
from tests.benchmarks.given import answer, run_of
from topfive.access.key_file import read_key_file


def part(phase: str, tenant: str, *, answered: int, refused: int = 0, seconds: float = 0.1) -> Part:
    """One second of answers that each took so long, after a warm-up of a second that does not count."""
    came = [answer(0, 0.5, 0.5, 9.0, 429), *(answer(0, 1.2, 1.2, 1.2 + seconds, 200) for _ in range(answered))]
    return Part(
        phase, 0, tenant, 1.0, run_of([*came, *(answer(0, 1.3, 1.3, 1.4, 429) for _ in range(refused))], seconds=2.0)
    )


def run(*, light: Part, heavy: int = 20) -> Figures:
    parts = [light, part(f.APART, f.FLOOD, answered=80), part(f.ALIKE, f.FLOOD, answered=98, refused=300)]
    parts += [part(f.ALIKE, f.LIGHT, answered=2, refused=8, seconds=0.7)]
    return Figures([*parts, part(f.WEIGHED, f.HEAVY, answered=heavy), part(f.WEIGHED, f.OTHER, answered=10)])


def test_the_figures_are_those_of_each_tenant_after_the_warm_up() -> None:
    found = run(light=part(f.APART, f.LIGHT, answered=20))
    assert found.refused(f.ALIKE, f.LIGHT) == pytest.approx(0.8)
    assert found.p99(f.ALIKE, f.LIGHT) == pytest.approx(700)
    assert found.rate(f.APART, f.FLOOD) == 80
    assert [check.met for check in found.checks()] == [True] * 5
    assert "| two flood, 2 to 1 |  heavy |      20.0 |" in found.markdown()


@pytest.mark.parametrize(
    ("light", "heavy", "missed"),
    [
        (part(f.APART, f.LIGHT, answered=20, refused=1), 20, [0]),
        (part(f.APART, f.LIGHT, answered=20, seconds=0.4), 20, [1]),
        (part(f.APART, f.LIGHT, answered=20), 17, [2]),
        (part(f.APART, f.LIGHT, answered=20), 23, [3]),
        (part(f.APART, f.LIGHT, answered=5), 20, [4]),
    ],
)
def test_a_tenant_that_is_harmed_is_a_check_that_is_missed(light: Part, heavy: int, missed: list[int]) -> None:
    checks = run(light=light, heavy=heavy).checks()
    assert [number for number, check in enumerate(checks) if not check.met] == missed


def test_both_services_know_all_keys_and_one_knows_whose_they_are(tmp_path: Path) -> None:
    named, alike = (read_key_file(f.key_file(tmp_path, named=named)) for named in (True, False))
    assert list(named.holders) == list(alike.holders) == list(f.KEYS.values())
    assert {name: limits.weight for name, limits in named.limits.items()} == {
        "light": 1,
        "flood": 1,
        "heavy": 2,
        "other": 1,
    }
    assert list(alike.limits) == ["default"]


def test_the_picture_is_drawn(tmp_path: Path) -> None:
    light = part(f.APART, f.LIGHT, answered=20)
    Figures([*run(light=light)._parts, part(f.ALONE, f.LIGHT, answered=20)]).draw(tmp_path / "f.png")
    assert (tmp_path / "f.png").stat().st_size > 5000
