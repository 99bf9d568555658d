"""Reads the text of a `config.pbtxt`, and of other files that people write: UTF-8, as written on any system."""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import Final

from topfive.ground.errors import ConfigurationError
from topfive.ground.next_steps import import_advice

_MAX_BYTES: Final = 1 << 20
_OTHER_MARKS: Final = (
    (codecs.BOM_UTF32_LE, "UTF-32"),  # must come before UTF-16: this mark begins with the one of UTF-16
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)


def read_config(path: Path) -> str:
    """The text of the file at `path`, without a byte order mark and CRs, which Windows adds.

    Raises `ConfigurationError` if it is not UTF-8 or too long for a configuration, and `OSError`.
    """
    with path.open("rb") as file:
        data = file.read(_MAX_BYTES + 1)
    if len(data) > _MAX_BYTES:
        raise ConfigurationError(f"{path}: it is longer than {_MAX_BYTES} bytes; is it a config.pbtxt?")
    text = decoded(data, path)
    if not text.strip():
        raise ConfigurationError(f"{path}: it is empty; write what docs/settings.md lists; or, {import_advice()}")
    return text


def decoded(data: bytes, path: Path) -> str:
    """The text that the file at `path` holds as `data`, its lines ended by LF; raises `ConfigurationError`."""
    for mark, encoding in _OTHER_MARKS:
        if data.startswith(mark):
            raise ConfigurationError(f"{path}: it is {encoding} text; save it as UTF-8")
    data = data.removeprefix(codecs.BOM_UTF8)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(
            f"{path}: it is not UTF-8 text: byte 0x{data[error.start]:02x} in line {line}; save it as UTF-8"
        ) from error
    if "\0" in text:
        raise ConfigurationError(f"{path}: it holds zero bytes, so it is no text, or UTF-16 text; save it as UTF-8")
    return text.replace("\r\n", "\n").replace("\r", "\n")
