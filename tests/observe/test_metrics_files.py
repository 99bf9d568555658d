"""Worker processes outlive a full disk: without room they do not start, and later they go on without new metrics."""

from __future__ import annotations

import logging
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.mmap_dict import MmapedDict

from tests.testkit.serving_process import READY, ROOT, ServingProcess
from topfive.ground.errors import ConfigurationError
from topfive.observe.metrics_files import RoomyDict, add_to_the_dead, metrics_folder

FULL = 1 << 17
"""Bytes that a file may have while the disk is full: the system refuses to write more, as a full disk does."""


@pytest.fixture
def full_disk() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (FULL, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def blocks_of(path: Path) -> int:
    return path.stat().st_blocks * 512


def test_all_that_is_mapped_is_on_disk(tmp_path: Path) -> None:
    """Unlike the library's own files, which have holes."""
    roomy, holey = tmp_path / "roomy.db", tmp_path / "holey.db"
    made, own = RoomyDict(str(roomy)), MmapedDict(str(holey))  # type: ignore[no-untyped-call]
    for number in range(2000):
        made.write_value(f"{number:0100}", number, 0.0)
        assert blocks_of(roomy) >= roomy.stat().st_size
    assert roomy.stat().st_size == 1 << 18
    assert blocks_of(holey) < holey.stat().st_size
    found = {key: value for key, value, *_ in MmapedDict.read_all_values_from_file(str(roomy))}  # type: ignore[no-untyped-call]
    assert found == {f"{number:0100}": number for number in range(2000)}
    made.close()  # type: ignore[no-untyped-call]
    own.close()  # type: ignore[no-untyped-call]


def test_a_file_that_was_there_is_gone_on_with(tmp_path: Path) -> None:
    for number in range(3):
        made = RoomyDict(str(tmp_path / "m.db"))
        value, _ = made.read_value("key")
        assert value == number
        made.write_value("key", value + 1, 0.0)
        made.close()  # type: ignore[no-untyped-call]


@pytest.mark.usefixtures("full_disk")
def test_a_file_that_cannot_grow_keeps_what_it_has_and_counts_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What is new is in memory; it is told once."""
    caplog.set_level(logging.ERROR)
    path = tmp_path / "m.db"
    made = RoomyDict(str(path))
    keys = [f"{number:0200}" for number in range(1000)]
    for value in (1.0, 2.0):
        for key in keys:
            assert made.read_value(key) == (value - 1.0, 0.0)
            made.write_value(key, value, 0.0)
    assert path.stat().st_size == FULL
    found = [value for _, value, *_ in MmapedDict.read_all_values_from_file(str(path))]  # type: ignore[no-untyped-call]
    assert 500 < len(found) < 1000
    assert set(found) == {2.0}
    assert caplog.text.count("cannot grow") == 1
    made.close()  # type: ignore[no-untyped-call]


def test_a_process_that_finds_the_disk_full_counts_in_memory_and_leaves_no_empty_file(tmp_path: Path) -> None:
    """As one that replaces another: it must live."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        made = RoomyDict(str(tmp_path / "m.db"))
        made.write_value("key", 7.0, 0.0)
        assert made.read_value("key") == (7.0, 0.0)
        made.close()  # type: ignore[no-untyped-call]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("free", [0, 1])
def test_a_process_that_may_open_no_more_files_counts_in_memory(tmp_path: Path, free: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    file = os.dup(0)  # the lowest number that is free
    os.close(file)
    resource.setrlimit(resource.RLIMIT_NOFILE, (file + free, hard))
    try:
        made = RoomyDict(str(tmp_path / "m.db"))
        made.write_value("key", 7.0, 0.0)
        assert made.read_value("key") == (7.0, 0.0)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert counts_of(tmp_path) == {}


# Those that have ended


def counts_of(folder: Path) -> dict[str, float]:
    files = [str(path) for path in folder.glob("*.db")]
    found: dict[str, float] = {}
    for file in files:
        for key, value, *_ in MmapedDict.read_all_values_from_file(file):  # type: ignore[no-untyped-call]
            found[key] = found.get(key, 0.0) + value
    return found


def count_and_end(folder: Path, pid: int, **counts: float) -> None:
    """What a worker leaves: here `key` by `key` what it counted."""
    for kind in ("counter", "histogram"):
        made = RoomyDict(str(folder / f"{kind}_{pid}.db"))
        for key, value in counts.items():
            made.write_value(f"{kind} {key}", value, 0.0)
        made.close()  # type: ignore[no-untyped-call]


def test_however_many_end_their_counts_take_two_files(tmp_path: Path) -> None:
    """A request that kills processes must not fill the disk."""
    count_and_end(tmp_path, 4, a=1.0)
    for pid in range(10, 60):
        count_and_end(tmp_path, pid, a=2.0, b=0.5)
        add_to_the_dead(pid, tmp_path)
    add_to_the_dead(7, tmp_path)  # has counted nothing
    assert len(list(tmp_path.iterdir())) == 4
    assert counts_of(tmp_path) == {"counter a": 101.0, "histogram a": 101.0, "counter b": 25.0, "histogram b": 25.0}


def test_where_there_is_no_room_their_files_stay(tmp_path: Path) -> None:
    count_and_end(tmp_path, 4, a=1.0)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        add_to_the_dead(4, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["counter_4.db", "histogram_4.db"]


# The start


def test_a_folder_with_room_is_had_and_removed() -> None:
    with metrics_folder(None, workers=2) as folder:
        assert list(Path(folder).iterdir()) == []
    assert not Path(folder).exists()


def test_what_goes_wrong_with_a_folder_in_use_is_not_put_down_to_it() -> None:
    with pytest.raises(OSError, match="something else"), metrics_folder(None, workers=2):
        raise OSError("something else")


@pytest.mark.usefixtures("full_disk")
def test_a_full_folder_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"^2 workers .* TMPDIR "), metrics_folder(str(tmp_path), workers=2):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["missing", "file"])
def test_a_temporary_folder_that_is_none_is_refused_with_exit_code_2(tmp_path: Path, name: str) -> None:
    """With the way to put it right; one process alone needs none."""
    (tmp_path / "file").touch()
    environment = {"TMPDIR": str(tmp_path / name)}
    with ServingProcess("--backend", "null", "--workers", "2", environment=environment) as process:
        assert process.wait() == 2
        (line,) = process.log
    assert [word for word in ("topfive: 2 workers", str(tmp_path / name), "TMPDIR") if word not in line] == []
    with ServingProcess("--backend", "null", environment=environment) as process:
        process.wait_for_log(READY)


def test_workers_in_a_full_folder_are_refused_with_exit_code_2() -> None:
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({FULL}, {FULL}))"
    arguments = ["--port", "0", "--grpc-port", "0", "--workers", "2"]
    run = f"{limit}\nimport sys; from topfive.process.main import main; sys.exit(main({arguments}))"
    # Not measured by coverage, whose own files the limit is for, too.
    plain = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    ended = subprocess.run(
        [sys.executable, "-c", run], cwd=ROOT, capture_output=True, text=True, check=False, env=plain
    )
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1
    assert "TMPDIR" in ended.stderr
