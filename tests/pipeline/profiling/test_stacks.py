"""Stacks are read as py-spy writes them; without py-spy, or the right to use it, it is said what to do."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from topfive_pipeline.profiling import flame, stacks

TEXT = (
    "thread (27583): compute-0;Thread.run (threading.py:971);WorkerPool._work (topfive/machine/workers.py:84) 78\n"
    "thread (27572): MainThread;<module> (main.py:1);Runner.run (asyncio/runners.py:86) 60\n"
    "thread (27572): MainThread;<module> (main.py:1);Runner.run (asyncio/runners.py:86);a (x.py:1);b 30\n"
    "thread (27572): MainThread;<module> (main.py:1);Runner.run (asyncio/runners.py:86);a (x.py:1);a (x.py:1) 10\n"
    "thread (27584): compute-1;Thread.run (threading.py:971);Graph.run (topfive/backends/onnx_runtime.py:99) 40\n"
)
counted = st.dictionaries(
    st.lists(st.sampled_from(["a <1>", "b", "c & d", "topfive.e"]), min_size=1, max_size=6).map(
        lambda frames: ";".join(["thread (7): MainThread", *frames])
    ),
    st.integers(1, 1000),
    min_size=1,
    max_size=8,
)


def test_threads_that_wait_for_work_are_left_out() -> None:
    assert sum(stacks.parsed(TEXT).values()) == 140


def test_functions_of_the_loop_by_their_own_time() -> None:
    found = stacks.functions(stacks.of_loop(stacks.parsed(TEXT)))
    assert [(each.name, each.own, each.total) for each in found[:3]] == [
        ("Runner.run (asyncio/runners.py:86)", 0.6, 1.0),
        ("b", 0.3, 0.3),
        ("a (x.py:1)", 0.1, 0.4),  # once, though it calls itself
    ]


def test_threads_are_named_by_their_ids(tmp_path: Path) -> None:
    threads = '[{"os_thread_id": 7, "thread_name": "compute-1"}, {"os_thread_id": 8, "thread_name": null}]'
    telling = program(tmp_path, f"[ $4 = 5 ] && echo '{threads}'")
    assert stacks.thread_names([4, 5], which=lambda _: telling) == {7: "compute-1", 8: ""}
    assert stacks.thread_names([4, 5], which=lambda _: None) == {}


@settings(max_examples=40)
@given(counts=counted)
def test_own_times_are_shares_of_all(counts: dict[str, int]) -> None:
    found = stacks.functions(counts)
    assert sum(each.own for each in found) == pytest.approx(1)
    assert all(0 <= each.own <= each.total <= 1 for each in found)


@settings(max_examples=40)
@given(counts=counted)
def test_boxes_of_the_flame_graph_lie_in_it_and_on_what_called_them(counts: dict[str, int]) -> None:
    drawing = ElementTree.fromstring(flame.drawn(counts, label="x"))
    rows: dict[float, list[tuple[float, float]]] = {}
    for box in drawing.iter("rect"):
        left, width = float(box.attrib["x"]), float(box.attrib["width"])
        assert left >= 0
        assert left + width <= flame.WIDTH + 0.5
        rows.setdefault(float(box.attrib["y"]), []).append((left, left + width))
    ordered = [rows[y] for y in sorted(rows)]
    for above, row in pairwise(ordered):
        assert all(any(low - 1 <= left and right <= high + 1 for low, high in above) for left, right in row)
    assert "<script" not in flame.drawn(counts, label="x")


def test_without_stacks_nothing_is_drawn() -> None:
    assert flame.drawn({}, label="x") == ""


def program(folder: Path, text: str) -> str:
    path = folder / "py-spy"
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def test_it_is_said_how_to_install_it() -> None:
    found = stacks.record(1, seconds=1, which=lambda _: None)
    assert (found.counts, found.why) == ({}, stacks.INSTALL)


def test_it_is_said_how_to_be_allowed(tmp_path: Path) -> None:
    denied = program(
        tmp_path, "echo 'Error: Permission Denied: Try running again with elevated permissions' >&2; exit 1"
    )
    found = stacks.record(1, seconds=1, which=lambda _: denied)
    assert found.counts == {}
    assert "as root" in found.why
    assert "SYS_PTRACE" in found.why


def test_it_is_said_what_else_went_wrong(tmp_path: Path) -> None:
    broken = program(tmp_path, "echo 'Error: Failed to find python version' >&2; exit 1")
    assert "Failed to find python version" in stacks.record(1, seconds=1, which=lambda _: broken).why
    assert "did not run" in stacks.record(1, seconds=1, which=lambda _: str(tmp_path / "gone")).why


def test_what_it_writes_is_read(tmp_path: Path) -> None:
    writing = program(tmp_path, f'while [ "$1" != --output ]; do shift; done\ncat > "$2" <<EOF\n{TEXT}EOF')
    assert stacks.record(1, seconds=1, which=lambda _: writing).counts == stacks.parsed(TEXT)
