"""The cores that may be used are those of the affinity mask, cut by the container's quota, and at least one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from service.cores import usable_cores


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)


@pytest.mark.parametrize(
    ("quota", "cores"),
    [
        ("max 100000\n", 8),
        ("200000 100000\n", 2),
        ("150000 100000\n", 2),
        ("100001 100000\n", 2),
        ("10000 100000\n", 1),
        ("0 100000\n", 1),
        ("400000 50000\n", 8),
        ("9900000 100000\n", 8),
    ],
)
def test_a_quota_cuts_the_cores_and_a_started_core_counts(tmp_path: Path, quota: str, cores: int) -> None:
    file = tmp_path / "cpu.max"
    file.write_text(quota, encoding="ascii")
    assert usable_cores(file) == cores


def test_without_a_quota_the_affinity_mask_counts(tmp_path: Path) -> None:
    assert usable_cores(tmp_path / "cpu.max") == 8


@pytest.mark.parametrize(("present", "cores"), [(6, 6), (None, 1)])
def test_where_there_is_no_affinity_mask_the_machine_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, present: int | None, cores: int
) -> None:
    """As on macOS."""
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: present)
    assert usable_cores(tmp_path / "cpu.max") == cores


def test_this_machine_has_a_core() -> None:
    assert usable_cores() >= 1
