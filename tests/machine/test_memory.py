"""The memory that may be used is that of the machine, cut by every limit above the process."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from tests.machine.test_cores import V1, V2_HERE, machine
from topfive.machine.memory import memory_limit

V1_HERE = V1.format(root="/", point="/sys/fs/cgroup/memory", controllers="memory")
ALL = psutil.virtual_memory().total
MIB = 1 << 20


@pytest.mark.parametrize(
    ("limit", "bytes_"), [("max", ALL), (str(300 * MIB), 300 * MIB), (str(1 << 62), ALL), ("0", 0)]
)
def test_a_limit_cuts_what_the_machine_has(tmp_path: Path, limit: str, bytes_: int) -> None:
    """Here that of a container which sees its own group as the root."""
    root = machine(tmp_path, groups=["0::/"], mounts=[V2_HERE], files={"/sys/fs/cgroup/memory.max": limit})
    assert memory_limit(root=root) == bytes_


def test_the_least_of_all_groups_above_holds(tmp_path: Path) -> None:
    files = {
        "/sys/fs/cgroup/system.slice/topfive.service/memory.max": str(400 * MIB),
        "/sys/fs/cgroup/system.slice/memory.max": str(200 * MIB),
        "/sys/fs/cgroup/other/memory.max": str(100 * MIB),
    }
    root = machine(tmp_path, groups=["0::/system.slice/topfive.service"], mounts=[V2_HERE], files=files)
    assert memory_limit(root=root) == 200 * MIB


def test_version_1_has_the_controller_in_a_hierarchy_of_its_own(tmp_path: Path) -> None:
    files = {
        "/sys/fs/cgroup/memory/docker/a/memory.limit_in_bytes": str(500 * MIB),
        "/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
        "/sys/fs/cgroup/memory/memory.max": str(MIB),
    }
    groups = ["7:cpu,cpuacct:/docker/b", "4:memory:/docker/a"]
    assert memory_limit(root=machine(tmp_path, groups=groups, mounts=[V1_HERE], files=files)) == 500 * MIB


def test_one_that_cannot_be_read_is_left_out_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = machine(tmp_path, groups=["0::/"], mounts=[V2_HERE], files={"/sys/fs/cgroup/memory.max": "plenty"})
    assert memory_limit(root=root) == ALL
    assert "memory.max cannot be read, and is left out of the metrics" in caplog.text


def test_on_this_machine_there_is_one() -> None:
    assert 0 < memory_limit() <= ALL
