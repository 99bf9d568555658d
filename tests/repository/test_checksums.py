"""Files are those that their stores and their checksums name."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.testkit.stores import URL, FakeStore, sums_of
from topfive.ground.errors import ConfigurationError
from topfive.repository.checksums import Digests, check_sums
from topfive.repository.stores import Kind, StoreFile


@given(kind=st.sampled_from(["sha256", "git", "etag"]), data=st.binary(), cut=st.integers(0, 99), other=st.binary())
def test_a_digest_matches_its_own_bytes_and_no_others(kind: Kind, data: bytes, cut: int, other: bytes) -> None:
    (file,) = FakeStore({"a": data}, kind=kind).files()
    digests = Digests(file)
    digests.update(data[:cut])
    digests.update(data[cut:])
    assert digests.matches is True
    assert digests.sha256 == hashlib.sha256(data).hexdigest()
    wrong = Digests(file)
    wrong.update(other)
    assert bool(wrong.matches) == (other == data)


@pytest.mark.parametrize("tag", ['"d41d8cd98f00b204e9800998ecf8427e-3"', '"0x8D"', "2026-11-27"])
def test_a_tag_that_is_no_md5_is_not_compared(tag: str) -> None:
    assert Digests(StoreFile("a", 1, "etag", tag, "a")).matches is True


def checked(tmp_path: Path, text: bytes, *, at: str = "SHA256SUMS", files: dict[str, bytes] | None = None) -> None:
    sums = tmp_path / "sums"
    sums.write_bytes(text)
    found = {path: hashlib.sha256(data).hexdigest() for path, data in (files or FILES).items()}
    check_sums(URL, {at: sums}, found)


FILES = {"cat/1/model.onnx": b"graph", "cat/config.pbtxt": b"config", "labels.txt": b"labels"}


def test_right_sums_pass_wherever_they_lie(tmp_path: Path) -> None:
    checked(tmp_path, sums_of(FILES))
    checked(
        tmp_path, sums_of({"cat/1/model.onnx": b"graph"})
    )  # as `topfive export` writes them, without configurations
    checked(tmp_path, sums_of({"1/model.onnx": b"graph"}).replace(b"  ", b" *") + b"\r\n", at="cat/SHA256SUMS")
    more = FILES | {"dog/1/model.onnx": b"dog"}
    checked(
        tmp_path, sums_of({"./1/model.onnx": b"graph", "../labels.txt": b"labels"}), at="cat/SHA256SUMS", files=more
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (sums_of({"labels.txt": b"others"}), "labels.txt is not the file that SHA256SUMS names"),
        (sums_of({"dog/config.pbtxt": b""}), "SHA256SUMS names dog/config.pbtxt, which is not there"),
        (sums_of({"labels.txt": b"labels"}), "cat/1/model.onnx is not named in SHA256SUMS"),
        (b"what is this\n", "line 1 is no checksum and name"),
        (b"\xff\xfe", "UTF-16"),
        (b"a" * ((4 << 20) + 1), "longer than 4 MiB"),
    ],
)
def test_wrong_sums_are_refused_with_the_file_named(tmp_path: Path, text: bytes, says: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        checked(tmp_path, text)
    assert says in str(refused.value)
