"""Nobody waits for standard error, or fails with it: lines come in order, and those that are lost are counted."""

from __future__ import annotations

import io
import logging
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.testkit.serving_process import RAW, ROOT, ask, classify_path, serving
from topfive.observe.standard_error import QueuedFile

LINES = st.lists(st.binary(max_size=300) | st.integers(0, 10_000).map(bytes), max_size=30)


@settings(max_examples=30)  # each has a thread that stays
@given(LINES)
def test_what_is_written_arrives_in_order(lines: list[bytes]) -> None:
    with tempfile.TemporaryFile() as file:
        queued = QueuedFile(file.fileno())
        for line in lines:
            assert queued.write(line) == len(line)
        assert queued.drain(60.0)
        file.seek(0)
        assert file.read() == b"".join(lines)
        assert queued.lost == 0


def test_a_line_is_written_whole_whatever_others_write_there() -> None:
    """Several together only as far as a pipe takes them without another process' in between."""
    reader, writer = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with reader, writer:
        queued = QueuedFile(writer.fileno())
        lines = [f"{number}".encode() * 150 + b"\n" for number in range(100)] + [b"x" * 9000 + b"\n"] * 2
        for line in lines:
            queued.write(line)
        parts: list[bytes] = []
        while b"".join(parts) != b"".join(lines):
            parts.append(reader.recv(1 << 16))
    assert [part[-1:] for part in parts] == [b"\n"] * len(parts)
    assert len(parts) < len(lines)
    assert [part for part in parts if part.count(b"\n") > 1 and len(part) > select.PIPE_BUF] == []


@pytest.fixture
def stalled() -> Iterator[tuple[int, int, int]]:
    """Both ends of a pipe that takes nothing more, and how much is in it."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    count = 0
    try:
        while True:
            count += os.write(writer, bytes(1 << 16))
    except BlockingIOError:
        os.set_blocking(writer, True)
    yield reader, writer, count
    os.close(writer)
    os.close(reader)


def read(file: int, count: int) -> bytes:
    data = b""
    while len(data) < count:
        data += os.read(file, count - len(data))
    return data


@pytest.mark.parametrize("blocking", [True, False])
def test_nobody_waits_for_a_reader_that_has_stopped(
    stalled: tuple[int, int, int], blocking: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """What is too much is dropped; once it is read again the rest comes, and how much is missing is said."""
    reader, writer, count = stalled
    os.set_blocking(writer, blocking)
    queued = QueuedFile(writer, max_bytes=10_000)
    for number in range(2000):
        queued.write(b"%09d\n" % number)
    assert not queued.drain(0.0)
    assert 2000 - 2 * 1000 <= queued.lost <= 2000 - 1000
    read(reader, count)
    kept = 2000 - queued.lost
    found = [int(line) for line in read(reader, 10 * kept).split()]
    assert found == sorted(set(found))
    assert found[:1000] == list(range(1000))
    assert queued.drain(60.0)
    assert [f"{queued.lost} lines of this log were lost" in text for text in caplog.messages] == [True]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
def test_a_full_disk_fails_nobody_and_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    """It is not told of in the log while that cannot be written either."""
    with Path("/dev/full").open("wb", buffering=0) as file:
        queued = QueuedFile(file.fileno())
        for _ in range(100):
            queued.write(b"line\n")
        assert queued.drain(60.0)
    assert queued.lost == 100
    queued.write(b"of a file that is closed\n")
    assert queued.drain(60.0)
    assert queued.lost == 101
    assert caplog.messages == []


def test_a_logger_that_is_told_of_loss_by_its_own_stream_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    reader, writer = os.pipe()
    queued = QueuedFile(writer, max_bytes=100)
    stream: TextIO = io.TextIOWrapper(queued, "utf-8", write_through=True)  # type: ignore[type-var]  # it is only written to
    handler = logging.StreamHandler(stream)
    logging.getLogger("topfive").addHandler(handler)
    try:
        queued.write(bytes(200))
        queued.write(b"line\n")
        assert read(reader, 5) == b"line\n"
        assert b"1 lines of this log were lost" in os.read(reader, 1000)
    finally:
        logging.getLogger("topfive").removeHandler(handler)
        os.close(reader)


def test_the_last_lines_and_tracebacks_are_written_before_the_process_ends() -> None:
    code = (
        "import logging, sys, topfive.observe.standard_error as e; e.queue_standard_error()\n"
        "for number in range(2000): print(number, file=sys.stderr)\n"
        "raise ValueError('the last')"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    lines = ended.stderr.splitlines()
    assert lines[:2000] == [str(number) for number in range(2000)]
    assert lines[-1] == "ValueError: the last"


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="this system cannot open a pipe once more")
def test_a_library_in_c_does_not_wait_either(stalled: tuple[int, int, int]) -> None:
    """Its line is lost; whoever else writes to the pipe notices nothing."""
    reader, writer, count = stalled
    code = (
        "import os, sys, topfive.observe.standard_error as e; log = e.queue_standard_error()\n"
        "print('queued', file=sys.stderr)\n"
        "try: os.write(2, b'lost')\n"
        "except BlockingIOError: print('refused', flush=True)\n"
        "log.drain(60.0)"
    )
    run = [sys.executable, "-c", code]
    with subprocess.Popen(run, cwd=ROOT, stdout=subprocess.PIPE, stderr=writer) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"refused\n"
        assert os.get_blocking(writer)
        read(reader, count)
        assert read(reader, 7) == b"queued\n"


def test_a_process_without_standard_error_starts() -> None:
    """And nothing that it opens takes that place, for the log would be written into it."""
    code = (
        "import os, sys, topfive.__main__ as m; m.fill_standard_files()\n"
        "print(os.open(os.devnull, 0), file=sys.stdout); print(1, file=sys.stderr)"
    )
    shell = f"exec {sys.executable} -c '{code}' 0<&- 2>&-"
    ended = subprocess.run(["/bin/sh", "-c", shell], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "3\n", "")


def test_a_service_whose_log_nobody_reads_serves_on_and_stops() -> None:
    """And writes all of it once it is read again."""
    with serving("--backend", "null") as process, process.connect() as connection:

        def serve() -> set[int]:
            path = classify_path(height=1, width=1)
            return {ask(connection, "POST", path, b"rgb", {"Content-Type": RAW}).status for _ in range(250)}

        with process.unread():
            assert serve() == {200}
        process.wait_for_log("topfive.request", count=250)
        assert process.metric("topfive_log_lines_lost_total") == 0
        with process.unread():
            assert serve() == {200}
            process.signal(signal.SIGTERM)
            assert process._process.wait(60.0) == 0
