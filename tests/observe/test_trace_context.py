"""The caller's trace is read by the specification, and what is not valid is ignored."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topfive.observe.trace_context import TraceContext, read_trace_context

TRACE: Final = "0af7651916cd43dd8448eb211c80319c"
SPAN: Final = "b7ad6b7169203331"
PARENT: Final = f"00-{TRACE}-{SPAN}-01".encode()


def state_of(given_state: bytes) -> str:
    found = read_trace_context(PARENT, given_state)
    assert found is not None
    return found.state


@pytest.mark.parametrize(
    ("flags", "sampled"), [("00", False), ("01", True), ("02", False), ("03", True), ("fe", False), ("ff", True)]
)
def test_a_parent_has_a_trace_a_span_and_whether_it_is_sampled(flags: str, sampled: bool) -> None:
    """The flags that are not defined yet say nothing."""
    assert read_trace_context(f"00-{TRACE}-{SPAN}-{flags}".encode(), None) == TraceContext(TRACE, SPAN, sampled, "")


@pytest.mark.parametrize("version", ["01", "cc", "fe"])
@pytest.mark.parametrize("more", ["", "-", "-what-the-future-will-be-like"])
def test_a_later_version_is_read_as_far_as_it_is_known(version: str, more: str) -> None:
    found = read_trace_context(f"{version}-{TRACE}-{SPAN}-01{more}".encode(), b"a=1")
    assert found == TraceContext(TRACE, SPAN, True, "a=1")


@pytest.mark.parametrize(
    "given_parent",
    [
        b"",
        b"-",
        PARENT[:-1],
        PARENT + b"0",
        PARENT + b"-",
        PARENT + b"-00",
        PARENT + b".",
        PARENT + b", " + PARENT,
        PARENT.upper(),
        b"ff" + PARENT[2:],
        b"FE" + PARENT[2:],
        b"0" + PARENT[2:],
        b"01" + PARENT[2:] + b".later",
        f"00-{'0' * 32}-{SPAN}-01".encode(),
        f"00-{TRACE}-{'0' * 16}-01".encode(),
        f"00-{TRACE[1:]}-{SPAN}-01".encode(),
        f"00-{TRACE[1:]}g-{SPAN}-01".encode(),
        f"00-{TRACE}-{SPAN[1:]}-01".encode(),
        f"00-{TRACE}-{SPAN}-1".encode(),
        f"00-{TRACE}-{SPAN}-0x".encode(),
        f"00_{TRACE}-{SPAN}-01".encode(),
        f"00-{TRACE}-{SPAN}".encode(),
        "00-à-b-01".encode(),
        b"cc-" + PARENT[3:] + b"-" + b"x" * 1000,
    ],
)
def test_what_is_no_parent_is_ignored(given_parent: bytes) -> None:
    assert read_trace_context(given_parent, b"a=1") is None


def test_without_a_parent_a_state_means_nothing() -> None:
    assert read_trace_context(None, b"a=1") is None


@pytest.mark.parametrize(
    ("given_state", "read"),
    [
        (b"", ""),
        (b"rojo=00f067aa0ba902b7", "rojo=00f067aa0ba902b7"),
        (b"rojo=1,congo=t61rcWkgMzE", "rojo=1,congo=t61rcWkgMzE"),
        (b" rojo=1 \t, \tcongo=2,,", "rojo=1,congo=2"),
        (b"fw529a3039@dt=FfffffF", "fw529a3039@dt=FfffffF"),
        (b"0tenant@sys=1", "0tenant@sys=1"),
        (b"a*/-_b=1", "a*/-_b=1"),
        (b"a=b c", "a=b c"),
        (b"a" * 256 + b"=1", "a" * 256 + "=1"),
        (b"a=" + b"1" * 256, "a=" + "1" * 256),
        (",".join(f"a{n}=1" for n in range(32)).encode(), ",".join(f"a{n}=1" for n in range(32))),
    ],
)
def test_the_state_is_kept_in_its_order(given_state: bytes, read: str) -> None:
    assert state_of(given_state) == read


@pytest.mark.parametrize(
    "given_state",
    [
        b"a",
        b"a=",
        b"=1",
        b"A=1",
        b"0a=1",
        b"a=1=2",
        b"a =1",
        b"a=1,a=2",
        b"a=1;b=2",
        b"a@=1",
        b"@b=1",
        b"a@0=1",
        b"a@b@c=1",
        b"a=\x7f",
        "a=ä".encode(),
        b"a" * 257 + b"=1",
        b"a=" + b"1" * 257,
        b"a=1," * 200,
        ",".join(f"a{n}=1" for n in range(33)).encode(),
    ],
)
def test_a_state_that_is_none_leaves_the_parent(given_state: bytes) -> None:
    assert state_of(given_state) == ""


@given(st.binary(max_size=80), st.binary(max_size=80))
def test_nothing_that_is_sent_is_an_error(parent: bytes, state: bytes) -> None:
    read_trace_context(parent, state)
    found = read_trace_context(PARENT, state)
    assert found is not None
    assert read_trace_context(PARENT, found.state.encode()) == found
