"""What is said of the machine, and how much memory may be taken: the least that anybody leaves."""

from __future__ import annotations

from pathlib import Path

import onnxruntime

from topfive_pipeline.judging.machine import memory_left, this_machine


def test_it_says_what_figures_depend_on() -> None:
    found = this_machine(cores=1)
    assert found.cpu
    assert (found.cores, found.onnxruntime) == (1, onnxruntime.__version__)


def test_the_kernel_and_the_container_both_limit(tmp_path: Path) -> None:
    memory = tmp_path / "meminfo"
    memory.write_text("MemTotal:       4000 kB\nMemAvailable:   3000 kB\n", encoding="ascii")
    assert memory_left(memory=memory, group=tmp_path) == 3_072_000
    (tmp_path / "memory.max").write_text("2000000\n", encoding="ascii")
    (tmp_path / "memory.current").write_text("500000\n", encoding="ascii")
    assert memory_left(memory=memory, group=tmp_path) == 1_500_000
    (tmp_path / "memory.max").write_text("max\n", encoding="ascii")
    assert memory_left(memory=memory, group=tmp_path) == 3_072_000


def test_where_nobody_says_nothing_is_known(tmp_path: Path) -> None:
    assert memory_left(memory=tmp_path / "none", group=tmp_path) is None
