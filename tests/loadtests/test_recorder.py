"""Samples reach the driver whole, in order and once, from however many processes, while they are written."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from loadtests.recorder import Reader, Recorder, Sample

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=12)
SAMPLES = st.lists(st.builds(Sample, st.floats(0, 1e9), st.floats(0, 1e9), TEXT, TEXT, TEXT, st.integers(0, 99)))


@given(parts=st.lists(SAMPLES, max_size=4))
def test_what_is_written_is_read_exactly_and_once(tmp_path_factory: object, parts: list[list[Sample]]) -> None:
    folder: Path = tmp_path_factory.mktemp("samples")  # type: ignore[attr-defined]
    recorder, reader = Recorder(folder), Reader(folder)
    for part in parts:
        for sample in part:
            recorder.add(sample)
        recorder.flush()
        assert reader.new() == part
    assert reader.new() == []


def test_a_line_that_is_still_being_written_waits(tmp_path: Path) -> None:
    file, reader = tmp_path / "samples-1.csv", Reader(tmp_path)
    file.write_text("1.0,2.0,raw,photo,,4\n1.5,2.")
    assert reader.new() == [Sample(1.0, 2.0, "raw", "photo", "", 4)]
    with file.open("a") as more:
        more.write("25,raw,photo,wrong label,4\n")
    assert reader.new() == [Sample(1.5, 2.25, "raw", "photo", "wrong label", 4)]


def test_the_files_of_all_processes_are_read_also_of_those_that_come_later(tmp_path: Path) -> None:
    reader = Reader(tmp_path)
    (tmp_path / "samples-2.csv").write_text("1.0,2.0,raw,photo,,1\n")
    assert [sample.ended for sample in reader.new()] == [2.0]
    (tmp_path / "samples-1.csv").write_text("1.0,3.0,raw,photo,,1\n")
    assert [sample.ended for sample in reader.new()] == [3.0]
