"""A look reads what Linux tells, and leaves out what it does not; a difference of two looks is what was used."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from tests.pipeline.profiling.test_kernel_texts import NUMA, SMAPS, STAT
from topfive_pipeline.profiling.readings import Group, Reading, Thread, read
from topfive_pipeline.profiling.usage import DECODING, INFERENCE, LOOP, NAMELESS, UNNAMED, between

PID = 27572


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A machine with two memory nodes, and a service in a group with a quota, of version 2."""
    texts = {
        "proc/stat": "cpu  2000 0 1000 9000 100 0 0 50 0 0\ncpu0 1 1 1 1\ncpu1 1 1 1 1\nintr 5\n",
        "proc/vmstat": "pswpin 12\npswpout 3\n",
        "proc/cpuinfo": "cpu MHz : 2000.0\ncpu MHz : 3000.0\n",
        "proc/pressure/cpu": "some avg10=0.00 avg60=0.00 avg300=0.00 total=2000000\n",
        "proc/self/mountinfo": "30 29 0:26 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw\n",
        f"proc/{PID}/stat": STAT,
        f"proc/{PID}/io": "rchar: 1\nread_bytes: 4096\nwrite_bytes: 8192\n",
        f"proc/{PID}/smaps_rollup": SMAPS,
        f"proc/{PID}/numa_maps": NUMA,
        f"proc/{PID}/cgroup": "0::/box\n",
        "sys/devices/system/node/node0/x": "",
        "sys/devices/system/node/node1/x": "",
        "sys/fs/cgroup/box/cpu.stat": "nr_periods 100\nnr_throttled 30\nthrottled_usec 2000000\n",
        "sys/fs/cgroup/box/memory.events": "low 0\nhigh 0\nmax 2\noom 0\n",
        "sys/fs/cgroup/box/memory.pressure": "some avg10=0.00 avg60=0.00 avg300=0.00 total=1000000\n",
    }
    for number in range(4):
        task = f"proc/{PID}/task/{PID + number}"
        texts[f"{task}/stat"] = STAT
        texts[f"{task}/schedstat"] = "1000000000 500000000 7\n"
        texts[f"{task}/status"] = "voluntary_ctxt_switches: 10\nnonvoluntary_ctxt_switches: 4\n"
    for name, text in texts.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


def test_all_that_is_told_is_read(root: Path) -> None:
    found = read([PID], root=root)
    process = found.processes[PID]
    tick = 1 / os.sysconf("SC_CLK_TCK")
    assert process.cpu == pytest.approx(958 * tick)
    assert process.io == (4096, 8192)
    assert set(process.threads) == {PID + number for number in range(4)}
    assert process.threads[PID] == Thread("python", 1.0, 0.5, 10, 4)
    assert process.nodes is not None
    assert set(process.nodes) == {0, 1}
    assert found.machine is not None
    assert (found.machine.cpus, found.machine.nodes, found.machine.swapped) == (2, 2, 12)
    assert found.machine.busy == pytest.approx(3000 * tick)
    assert found.group.throttling is not None
    assert found.group.throttling.throttled == 30
    assert (found.group.events["max"], found.group.pressure) == (2, {"memory": 1.0})


def test_what_is_not_told_is_left_out(tmp_path: Path) -> None:
    found = read([PID], root=tmp_path)
    assert (found.processes, found.machine, found.group) == ({}, None, Group())
    used = between(found, replace(found, at=found.at + 1), names={})
    assert (used.cores, used.machine, used.throttled, used.pressure, used.roles) == (None, None, None, None, ())
    assert (used.others, used.loop, used.waited_share) == (None, None, None)


def test_what_may_not_be_read_is_left_out(root: Path) -> None:
    for name in ("io", "smaps_rollup", "numa_maps"):
        (root / "proc" / str(PID) / name).unlink()
    process = read([PID], root=root).processes[PID]
    assert (process.io, process.memory, process.nodes) == (None, None, None)


def test_this_machine_can_be_read() -> None:
    found = read([os.getpid()])
    assert found.processes[os.getpid()].threads[os.getpid()].cpu > 0
    assert found.machine is not None
    assert found.machine.cpus >= 1


def test_a_difference_is_what_was_used(root: Path) -> None:
    """The event loop for half a second, a thread of the pool for one; the quota held it back 20 times of 50."""
    first = read([PID], root=root)
    (root / "sys/fs/cgroup/box/cpu.stat").write_text("nr_periods 150\nnr_throttled 50\nthrottled_usec 3000000\n")
    (root / "sys/fs/cgroup/box/memory.events").write_text("max 3\noom 0\n")
    (root / "sys/fs/cgroup/box/memory.pressure").write_text("some avg10=0.00 total=1400000\n")
    for number, spent in ((0, 0.5), (1, 1.0)):
        ran = round((1 + spent) * 1e9)
        (root / f"proc/{PID}/task/{PID + number}/schedstat").write_text(
            f"{ran} {500_000_000 + 250_000_000 * number} 9\n"
        )
    (root / "proc/stat").write_text("cpu  2100 0 1100 9000 100 0 0 150 0 0\ncpu0 1\ncpu1 1\n")
    last = replace(read([PID], root=root), at=first.at + 2)
    used = between(first, last, names={PID + 1: "compute-0", PID + 2: "stranger"})
    roles = {role.name: role for role in used.roles}
    assert set(roles) == {LOOP, INFERENCE, UNNAMED}
    assert used.roles[0].name == INFERENCE
    assert (roles[LOOP].cpu, roles[INFERENCE].cpu, roles[UNNAMED].cpu) == pytest.approx((0.25, 0.5, 0))
    assert used.loop == pytest.approx(0.25)
    assert used.waited_share == pytest.approx(0.25 / 1.75)
    assert used.throttled == pytest.approx(0.4)
    assert used.throttled_seconds == pytest.approx(0.5)
    assert used.memory_events == 1
    assert used.pressure == pytest.approx({"cpu": 0, "memory": 0.2})
    tick = 1 / os.sysconf("SC_CLK_TCK")
    assert (used.machine, used.steal) == pytest.approx((100 * tick, 50 * tick))
    assert used.others == pytest.approx(100 * tick)
    assert used.nodes == pytest.approx({0: 2052 / (2052 + 4096), 1: 4096 / (2052 + 4096)})


def test_strangers_are_told_by_name_but_not_what_measures(root: Path) -> None:
    """30 ticks of 100 a second each, in two seconds; one of them is there to measure."""
    for pid in (50, 51):
        path = root / f"proc/{pid}/stat"
        path.parent.mkdir()
        path.write_text(STAT.replace("(python)", "(busy loop)"))
    first = read([PID], root=root)
    more = 928 + 60 * os.sysconf("SC_CLK_TCK") // 100
    for pid in (50, 51):
        (root / f"proc/{pid}/stat").write_text(STAT.replace("(python)", "(busy loop)").replace(" 928 ", f" {more} "))
    last = replace(read([PID], root=root), at=first.at + 2)
    ((name, cores),) = between(first, last, names={}, measuring=[51]).foreign
    assert name == "busy loop (50)"
    assert cores == pytest.approx(0.3, abs=0.02)


def test_a_small_process_below_one_that_serves_decodes(root: Path) -> None:
    reading = read([PID], root=root)
    child = replace(reading.processes[PID], parent=PID, threads={PID + 9: reading.processes[PID].threads[PID]})
    above = replace(reading.processes[PID], parent=1, threads=child.threads)
    processes = {PID: reading.processes[PID], PID + 9: child, 5: above}
    both = Reading(reading.at + 1, processes, reading.machine, reading.group)
    assert {role.name for role in between(both, both, names={}).roles} == {LOOP, NAMELESS, DECODING, "supervisor"}
