"""Linux' texts are read as they are: of version 1 and 2 of control groups, with names that hold anything."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from topfive_pipeline.profiling import kernel_texts
from topfive_pipeline.profiling.kernel_texts import Stat, Throttling, Ticks

STAT = (
    "27572 (python) S 27570 27567 17822 0 -1 4194560 63247 0 7 0 928 30 0 0 20 0 14 0 90035 1358659584 43500 "
    "18446744073709551615 94630557573120 94630557573461 140732142508000 0 0 0 0 16781312 16387 0 0 0 17 1 0 0 0 0 0"
)
SMAPS = "5610e4c4d000-7ffec15d0000 ---p 00000000 00:00 0     [rollup]\nRss:  174228 kB\nPss:  130999 kB\nSwap:   0 kB\n"
NUMA = (
    "5610e4c4d000 default file=/usr/bin/python3.11 mapped=1 mapmax=10 N0=1 kernelpagesize_kB=4\n"
    "5610e4c50000 default anon=3 dirty=3 N0=1 N1=2 kernelpagesize_kB=2048\n"
    "5610e4c4f000 default file=/usr/bin/python3.11\n"
)
TCP = (
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
    "   0: 0100007F:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 31530 1 0000\n"
    "   1: 0100007F:1F40 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 1677 1 0000\n"
)


def test_a_process_is_read() -> None:
    assert kernel_texts.stat(STAT) == Stat(27570, "python", 7, 958)


@settings(max_examples=30)
@given(name=st.text("ab ()\n7", max_size=15))
def test_a_name_may_hold_parentheses_and_spaces(name: str) -> None:
    assert kernel_texts.stat(STAT.replace("(python)", f"({name})")) == Stat(27570, name, 7, 958)


def test_times_of_a_thread_are_nanoseconds() -> None:
    assert kernel_texts.schedstat("1493546901 1328700855 3914\n") == pytest.approx((1.493546901, 1.328700855))


def test_context_switches_are_read() -> None:
    text = "Name:\tpython\nvoluntary_ctxt_switches:\t3010\nnonvoluntary_ctxt_switches:\t904\n"
    assert kernel_texts.switches(text) == (3010, 904)


def test_memory_is_read_in_bytes() -> None:
    assert kernel_texts.memory_of(SMAPS) == {"Rss": 174228 << 10, "Pss": 130999 << 10, "Swap": 0}


def test_memory_on_nodes_counts_large_pages() -> None:
    assert kernel_texts.by_node(NUMA) == {0: (4 << 10) + (2048 << 10), 1: 2 * (2048 << 10)}


def test_steal_and_waiting_for_disks_are_not_busy() -> None:
    text = "cpu  22185 14442 12799 130705 876 0 283 129 0 0\ncpu0 9665 6215 6095 68248 312 0 50 69 0 0\n"
    assert kernel_texts.machine_ticks(text) == Ticks(22185 + 14442 + 12799 + 283, 876, 129)


def test_pressure_is_of_some_task() -> None:
    text = "some avg10=52.16 avg60=17.11 avg300=6.88 total=45154853\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"
    assert kernel_texts.pressure(text) == pytest.approx(45.154853)


@pytest.mark.parametrize(
    "text",
    [
        "usage_usec 100\nuser_usec 60\nsystem_usec 40\nnr_periods 50\nnr_throttled 20\nthrottled_usec 1500000\n",
        "nr_periods 50\nnr_throttled 20\nthrottled_time 1500000000\n",
    ],
    ids=["version 2", "version 1"],
)
def test_throttling_is_read_of_both_versions(text: str) -> None:
    assert kernel_texts.throttling(text) == Throttling(50, 20, 1.5)


def test_a_group_without_a_quota_tells_of_no_periods() -> None:
    with pytest.raises(KeyError):
        kernel_texts.throttling("usage_usec 100\nuser_usec 60\nsystem_usec 40\n")


def test_clocks_are_read_where_they_are_told() -> None:
    assert kernel_texts.megahertz("model name\t: A\ncpu MHz\t\t: 2596.142\n\ncpu MHz\t\t: 1200.000\n") == [
        2596.142,
        1200.0,
    ]
    assert kernel_texts.megahertz("Processor: ARM\n") == []


def test_only_sockets_that_listen_count() -> None:
    assert list(kernel_texts.listener(TCP, 8000)) == [31530]
    assert list(kernel_texts.listener(TCP, 8001)) == []
