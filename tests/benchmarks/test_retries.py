"""What retries add is counted, and the careless file is the deployed one but for what it retries."""

from __future__ import annotations

import pytest

from benchmarks import nginx, retries
from benchmarks.proxies import Exchange
from benchmarks.retries import ALL_ERRORS, NGINX, Phase
from tests.benchmarks.given import answer, run_of
from topfive_loadgen.plan import Sample


def phase(name: str, tried: list[list[str]], *samples: Sample) -> Phase:
    return Phase(name, False, [Exchange(1.0, 0.1, 200, one) for one in tried], run_of(samples), 1.0)


def test_the_careless_file_differs_in_two_lines() -> None:
    deployed = nginx.DEPLOYED.read_text()
    changed = retries.careless(deployed)
    assert sum(a != b for a, b in zip(deployed.splitlines(), changed.splitlines(), strict=True)) == 2
    assert "http_429" in changed
    with pytest.raises(SystemExit, match="0 times 'tries 2;'"):
        retries.careless(deployed.replace("tries 2;", "tries 3;"))


@pytest.mark.parametrize(
    ("name", "tried", "status", "missed"),
    [
        (NGINX, [["a"]] * 10, 200, []),
        (NGINX, [["a"]] * 9 + [["a", "b"]], 200, []),
        (NGINX, [["a"]] * 8 + [["a", "b"]] * 2, 200, ["attempts a request, nginx"]),
        (ALL_ERRORS, [["a", "b"]] * 10, 0, []),
        (NGINX, [["a"]], 0, ["requests without an answer"]),
    ],
)
def test_the_deployed_files_may_add_a_tenth(name: str, tried: list[list[str]], status: int, missed: list[str]) -> None:
    found = retries.checks([phase(name, tried, answer(0, 0.1, 0.1, 0.2, status))])
    assert [check.name for check in found if not check.met] == missed


def test_statuses_are_counted_apart() -> None:
    samples = [answer(0, 0.1, 0.1, 0.2, status, retry_after=1.0) for status in (200, 429, 429, 503, 504, 0)]
    figures = phase(NGINX, [["a"], ["", "b"]], *samples).figures
    assert [figures[name] for name in ("requests", "attempts", "200", "429", "503", "other")] == [2, 3, 1, 2, 1, 2]
