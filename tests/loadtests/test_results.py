"""What is stored is read back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loadtests.results import Cell, OpenRun, Run, UnreadableRun, Window, load, save, totals
from tests.testkit.stored_run import stored_run

_NUMBERS = st.floats(min_value=0, max_value=1e9, allow_subnormal=False)
_WINDOWS = st.builds(
    Window,
    began=_NUMBERS,
    seconds=st.floats(min_value=0.1, max_value=1e4),
    count=st.integers(0, 10**6),
    errors=st.integers(0, 10**6),
    p50=st.none() | _NUMBERS,
    p99=st.none() | _NUMBERS,
)
_RUNS = st.builds(
    Run,
    name=st.text(st.characters(exclude_categories=["Cs"])),
    url=st.text(st.characters(exclude_categories=["Cs"])),
    began=st.just("2026-11-21T08:00:00Z"),
    seconds=_NUMBERS,
    environment=st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"])),
        st.none() | st.integers(-(2**53), 2**53) | st.text("ab1") | st.dictionaries(st.text("ab"), st.text("ab1")),
    ),
    closed=st.lists(
        st.builds(
            Cell,
            mix=st.sampled_from(["random", "complex"]),
            workers=st.integers(1, 64),
            processes=st.integers(1, 4),
            windows=st.lists(_WINDOWS, max_size=3),
            agreed=st.integers(0, 3),
            settled=st.booleans(),
            throughput=_NUMBERS,
            latency=st.none(),
            scenarios=st.just({}),
            kinds=st.just({}),
            errors=st.dictionaries(st.text("ab"), st.integers(0, 100)),
            server=st.none(),
            generator_cores=st.none() | _NUMBERS,
        ),
        max_size=2,
    ),
    faults=st.lists(st.text("ab")),
    # Lists, as they are read.
    shapes=st.just([]),
    open=st.just([]),
    capacities=st.just([]),
    moments=st.just([]),
    gaps=st.just([]),
)


def test_a_run_with_all_its_sections_is_read_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    run = stored_run()
    save(run, path)
    again = load(path)
    save(again, tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == path.read_bytes()
    # Tuples and lists are one in JSON; what is in them is compared above.
    assert again.closed[3].latency is not None
    assert run.closed[3].latency is not None
    assert again.closed[3].latency.p99 == run.closed[3].latency.p99
    assert again.environment == run.environment


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(run=_RUNS)
def test_any_run_is_read_back(tmp_path: Path, run: Run) -> None:
    path = tmp_path / "run.json"
    save(run, path)
    assert load(path) == run


@pytest.mark.parametrize(
    "content", [b"", b"not JSON", b"[]", b"{}", b'{"name": "a run", "format": 1}'], ids=lambda content: content.decode()
)
def test_a_file_that_is_no_run_says_so(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other.json"
    path.write_bytes(content)
    with pytest.raises(UnreadableRun, match=r"other\.json is not a stored run"):
        load(path)


def test_a_run_of_another_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    save(stored_run(), path)
    path.write_text(path.read_text(encoding="utf-8").replace('"format": 1', '"format": 2'), encoding="utf-8")
    with pytest.raises(UnreadableRun, match="format"):
        load(path)


def test_a_run_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(UnreadableRun, match=r"missing\.json"):
        load(tmp_path / "missing.json")


def test_an_error_ratio_is_of_all_answers() -> None:
    cell = replace(stored_run().closed[0], errors={"timeout": 2, "wrong label": 1})
    assert cell.latency is not None
    assert cell.error_ratio == pytest.approx(3 / (cell.latency.count + 3))
    assert replace(cell, latency=None).error_ratio == 1
    assert replace(cell, latency=None, errors={}).error_ratio == 0


def test_totals_are_of_the_server_under_test_and_count_only_right_answers() -> None:
    run = stored_run()
    cell, loop = run.closed[0], run.open[0]
    assert cell.latency is not None
    assert loop.latency is not None
    few = replace(
        run,
        closed=[replace(cell, errors={"429 queue_full": 7})],
        open=[replace(loop, errors={})],
        shapes=(),
        capacities=(),
    )
    assert few.null is not None
    found = totals(few)
    assert (found.right, found.wrong) == (cell.latency.count + loop.latency.count, 7)
    assert found.error_ratio == pytest.approx(7 / (7 + found.right))


def test_an_open_loop_with_a_fault_is_not_valid() -> None:
    valid: OpenRun = stored_run().open[0]
    assert valid.valid
    assert not replace(valid, faults=["it fell behind"]).valid
