"""Text is read as any system writes it, and what is no text is refused with the remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.preprocessing.text_files import read_json, read_text


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.json"


@pytest.mark.parametrize("data", [b"\xc3\xa9\nb", b"\xef\xbb\xbf\xc3\xa9\r\nb", b"\xc3\xa9\rb"])
def test_a_byte_order_mark_and_crs_are_dropped(data: bytes, path: Path) -> None:
    path.write_bytes(data)
    assert read_text(path) == "é\nb"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "it is empty"),
        (b" \n", "it is empty"),
        (b"a\nb\xe9", "byte 0xe9 in line 2; save it as UTF-8"),
        ("é".encode("utf-16"), "it is UTF-16 text; save it as UTF-8"),
        ("é".encode("utf-32"), "it is UTF-32 text"),
        (b"a\0b\0", "holds zero bytes"),
    ],
)
def test_what_is_no_utf_8_text_is_refused(data: bytes, message: str, path: Path) -> None:
    path.write_bytes(data)
    with pytest.raises(ConfigurationError, match=message):
        read_text(path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "absent", tmp_path):
        with pytest.raises(ConfigurationError, match=r"cannot be read \((No such file|Is a directory)"):
            read_text(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1,}', r"it is no JSON: .* in line 1, column \d"),
        ('{"a": {"0": 1, "0": 2}}', "'0' stands there twice"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_wrong_json_is_refused(text: str, message: str, path: Path) -> None:
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=message):
        read_json(path)
