"""The cores that may be used are those of the affinity mask, cut by every quota above the process, and at least one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from topfive.machine.cores import core_limit, share_of_cores, usable_cores

POD = "/kubepods.slice/kubepods-pod1.slice/cri-1.scope"
V1 = "33 31 0:30 {root} {point} rw,relatime shared:9 - cgroup cgroup rw,{controllers}"
V2 = "41 31 0:38 {root} {point} rw,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate"
V2_HERE = V2.format(root="/", point="/sys/fs/cgroup")
V1_HERE = V1.format(root="/", point="/sys/fs/cgroup/cpu,cpuacct", controllers="cpu,cpuacct")
OTHERS = "22 1 0:20 / /proc rw - proc proc rw\n24 1 8:1 / / rw shared:1 - ext4 /dev/root rw"


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)


def machine(root: Path, *, groups: list[str], mounts: list[str], files: dict[str, str]) -> Path:
    """A folder that looks like the root of a machine: where the process is, what is mounted, what the groups say."""
    files = {"proc/self/cgroup": "\n".join(groups), "proc/self/mountinfo": "\n".join([OTHERS, *mounts]), **files}
    for name, text in files.items():
        path = root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n", encoding="utf-8")
    return root


def v1_quota(folder: str, quota: int, period: int = 100000) -> dict[str, str]:
    return {f"{folder}/cpu.cfs_quota_us": str(quota), f"{folder}/cpu.cfs_period_us": str(period)}


@pytest.mark.parametrize(
    ("quota", "cores"),
    [
        ("max 100000", 8),
        ("max", 8),
        ("200000 100000", 2),
        ("150000 100000", 2),
        ("100001 100000", 2),
        ("10000 100000", 1),
        ("0 100000", 1),
        ("400000 50000", 8),
        ("9900000 100000", 8),
    ],
)
def test_a_quota_cuts_the_cores_and_a_started_core_counts(tmp_path: Path, quota: str, cores: int) -> None:
    """Here that of a container which sees its own group as the root."""
    files = {"/sys/fs/cgroup/cpu.max": quota}
    assert usable_cores(root=machine(tmp_path, groups=["0::/"], mounts=[V2_HERE], files=files)) == cores


NESTED = "/sys/fs/cgroup/system.slice/topfive.service"
LAYOUTS = {
    "systemd's CPUQuota of a service": (
        ["0::/system.slice/topfive.service"],
        [V2_HERE],
        {f"{NESTED}/cpu.max": "300000 100000", "/sys/fs/cgroup/system.slice/cpu.max": "max 100000"},
        3,
    ),
    "a slice above that has less": (
        ["0::/system.slice/topfive.service"],
        [V2_HERE],
        {f"{NESTED}/cpu.max": "300000 100000", "/sys/fs/cgroup/system.slice/cpu.max": "200000 100000"},
        2,
    ),
    "a group that is not the process' own": (
        ["0::/system.slice/topfive.service"],
        [V2_HERE],
        {f"{NESTED}2/cpu.max": "100000 100000", f"{NESTED}/worker/cpu.max": "100000 100000"},
        8,
    ),
    "a group without the controller below one with it": (
        ["0::/user.slice/user-0.slice/session-1.scope"],
        [V2_HERE],
        {"/sys/fs/cgroup/user.slice/cpu.max": "200000 100000"},
        2,
    ),
    "version 1": (
        ["4:cpu,cpuacct:/system.slice/topfive.service", "3:cpuset:/", "1:name=systemd:/x"],
        [V1_HERE],
        v1_quota("/sys/fs/cgroup/cpu,cpuacct/system.slice/topfive.service", 150000),
        2,
    ),
    "version 1 without a quota": (["4:cpu,cpuacct:/"], [V1_HERE], v1_quota("/sys/fs/cgroup/cpu,cpuacct", -1), 8),
    "version 1, nested, its period another": (
        ["4:cpuacct,cpu:/a/b"],
        [V1.format(root="/", point="/sys/fs/cgroup/cpu", controllers="cpuacct,cpu")],
        {**v1_quota("/sys/fs/cgroup/cpu/a", 25000, 10000), **v1_quota("/sys/fs/cgroup/cpu/a/b", 400000)},
        3,
    ),
    "version 1 in a container, which is told its whole path and shown its own group": (
        ["4:cpu,cpuacct:/docker/ab12"],
        [V1.format(root="/docker/ab12", point="/sys/fs/cgroup/cpu,cpuacct", controllers="cpu,cpuacct")],
        v1_quota("/sys/fs/cgroup/cpu,cpuacct", 200000),
        2,
    ),
    "a group below that of the container": (
        ["4:cpu,cpuacct:/docker/ab12/inner"],
        [V1.format(root="/docker/ab12", point="/sys/fs/cgroup/cpu", controllers="cpu,cpuacct")],
        {**v1_quota("/sys/fs/cgroup/cpu", 400000), **v1_quota("/sys/fs/cgroup/cpu/inner", 100000)},
        1,
    ),
    "version 1's controller for sets of cores alone": (
        ["4:cpuset:/a"],
        [V1.format(root="/", point="/sys/fs/cgroup/cpuset", controllers="cpuset")],
        v1_quota("/sys/fs/cgroup/cpuset/a", 100000),
        8,
    ),
    "hybrid: the controller is in version 1": (
        ["4:cpu:/a", "0::/b"],
        [
            V1.format(root="/", point="/sys/fs/cgroup/cpu", controllers="cpu"),
            V2.format(root="/", point="/sys/fs/cgroup/unified"),
        ],
        {"/sys/fs/cgroup/unified/b/cgroup.procs": "1", **v1_quota("/sys/fs/cgroup/cpu/a", 300000)},
        3,
    ),
    "hybrid: it is in version 2": (
        ["4:pids:/a", "0::/b"],
        [V2.format(root="/", point="/sys/fs/cgroup/unified")],
        {"/sys/fs/cgroup/unified/b/cpu.max": "300000 100000"},
        3,
    ),
    "a path that is the host's, and a mount that has only the container's": (
        [f"0::{POD}"],
        [V2_HERE],
        {"/sys/fs/cgroup/cpu.max": "200000 100000"},
        2,
    ),
    "a mount whose root lies above the namespace": (
        ["0::/"],
        [V2.format(root="/../..", point="/sys/fs/cgroup")],
        {"/sys/fs/cgroup/cpu.max": "200000 100000"},
        2,
    ),
    "a process that was moved out of its namespace": (
        ["0::/../other"],
        [V2_HERE],
        {"/sys/fs/cgroup/cpu.max": "400000 100000"},
        4,
    ),
    "somebody else's group, mounted beside the own": (
        ["0::/mine"],
        [V2_HERE, V2.format(root="/theirs", point="/mnt/theirs")],
        {"/sys/fs/cgroup/mine/cpu.max": "300000 100000", "/mnt/theirs/cpu.max": "100000 100000"},
        3,
    ),
    "mounted elsewhere, under a name with a space": (
        ["0::/a b:c"],
        [V2.format(root="/", point="/mnt/control\\040groups")],
        {"/mnt/control groups/a b:c/cpu.max": "300000 100000"},
        3,
    ),
    "a group that was removed": (
        ["0::/gone (deleted)"],
        [V2_HERE],
        {"/sys/fs/cgroup/gone/cpu.max": "100000 100000"},
        1,
    ),
    "not mounted at all": (["0::/a"], [], {"/sys/fs/cgroup/a/cpu.max": "100000 100000"}, 8),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_smallest_quota_of_a_group_and_all_above_it_counts(tmp_path: Path, layout: str) -> None:
    groups, mounts, files, cores = LAYOUTS[layout]
    assert usable_cores(root=machine(tmp_path, groups=groups, mounts=mounts, files=files)) == cores


@pytest.mark.parametrize("text", ["", "many 100000", "100000", "100000 0", "1 2\u00b2"])
def test_a_quota_that_cannot_be_read_is_told_and_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    files = {"/sys/fs/cgroup/a/cpu.max": text, "/sys/fs/cgroup/cpu.max": "400000 100000"}
    assert usable_cores(root=machine(tmp_path, groups=["0::/a"], mounts=[V2_HERE], files=files)) == 4
    assert "sys/fs/cgroup/a" in caplog.text


def test_without_control_groups_the_affinity_mask_counts(tmp_path: Path) -> None:
    assert usable_cores(root=tmp_path) == 8


@pytest.mark.parametrize(("present", "cores"), [(6, 6), (None, 1)])
def test_where_there_is_no_affinity_mask_the_machine_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, present: int | None, cores: int
) -> None:
    """As on macOS."""
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: present)
    assert usable_cores(root=tmp_path) == cores


@pytest.mark.parametrize(("wanted", "warned"), [(1, False), (2, False), (3, True), (100, True)])
def test_a_wish_is_above_all_and_warned_of_where_the_system_allows_less(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, wanted: int, warned: bool
) -> None:
    files = {"/sys/fs/cgroup/cpu.max": "200000 100000"}
    root = machine(tmp_path, groups=["0::/"], mounts=[V2_HERE], files=files)
    assert usable_cores(wanted, root=root) == wanted
    assert (f"cores is {wanted}" in caplog.text) == warned


def test_the_limit_is_not_rounded(tmp_path: Path) -> None:
    root = machine(tmp_path, groups=["0::/"], mounts=[V2_HERE], files={"/sys/fs/cgroup/cpu.max": "150000 100000"})
    assert core_limit(root=root) == 1.5


def test_processes_share_the_cores() -> None:
    assert [share_of_cores(8, processes) for processes in (1, 2, 3, 8, 20)] == [8, 4, 2, 1, 1]


def test_this_machine_has_a_core() -> None:
    assert usable_cores() >= 1
