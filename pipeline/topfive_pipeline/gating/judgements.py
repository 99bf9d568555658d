"""What people said of photos on which the two differ, one JSON line each, in a file that only grows.

What lives here: the file. Each line is on the disk before it is said to be stored, so a crash loses at most what nobody
was told is kept. What does not: who may say what when (`gating.blind`), and what follows (`gating.tally`).
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal, cast, get_args

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.preprocessing.text_files import read_text

FILE: Final = "judged.jsonl"
Verdict = Literal["candidate", "live", "equal", "neither", "undone"]
"""Whose answer is better; equal: both are good; neither: both are wrong; undone: what was said before is withdrawn."""
Side = Literal["candidate", "live"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What `judge` said of the question with this `key`, of the photo with this SHA-256 (`photo`).

    `left`: whose answer stood at the left, which the judge did not know, as `seed` had it. `at`: when, in UTC.
    """

    question: str
    photo: str
    judge: str
    verdict: Verdict
    left: Side
    seed: int
    at: str


class Store:
    """The file of a folder, open to add to; see `opened`."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def add(self, judgement: Judgement) -> None:
        """Write a line; returns once it is on the disk. Raises `OSError` if that is full, and then nothing is added."""
        line = json.dumps(asdict(judgement)).encode() + b"\n"
        before = self._file.seek(0, os.SEEK_END)
        try:
            if self._file.write(line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(self._file.fileno())
        except OSError:
            self._file.truncate(before)
            raise


@contextmanager
def opened(path: Path) -> Iterator[Store]:
    """Open the file to add to it, alone; it is made if need be. Raises `ConfigurationError`."""
    try:
        raw = path.open("a+b", buffering=0)
    except OSError as error:
        raise ConfigurationError(f"{path}: judgements cannot be stored there ({error.strerror or error})") from error
    with raw:
        try:
            fcntl.flock(raw, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigurationError(
                f"{path}: another topfive judge has it open; let it end, or judge in its page"
            ) from None
        file = cast(BinaryIO, raw)
        _drop_torn_line(file)
        yield Store(file)


def read(path: Path) -> list[Judgement]:
    """What stands: of each judge and question the last that was said, unless that is undone, in the order of time.

    Raises `ConfigurationError` if the file cannot be read, or holds something else. An end without a line's end is of a
    crash while it was written, and is left out.
    """
    standing: dict[tuple[str, str], Judgement] = {}
    if path.is_file() and not path.stat().st_size:
        return []
    lines = read_text(path).split("\n")
    for number, line in enumerate(lines[:-1], start=1):
        judgement = _parsed(line, where=f"{path}, line {number}")
        key = (judgement.judge, judgement.question)
        standing.pop(key, None)  # so that the last said is the last in order
        if judgement.verdict != "undone":
            standing[key] = judgement
    return list(standing.values())


def _drop_torn_line(file: BinaryIO) -> None:
    file.seek(0)
    content = file.read()
    file.truncate(content.rfind(b"\n") + 1)


def _parsed(line: str, *, where: str) -> Judgement:
    try:
        given: dict[str, Any] = json.loads(line)
        judgement = Judgement(**given)
    except (ValueError, TypeError) as error:
        raise ConfigurationError(f"{where}: it is no judgement ({error}); is it a file of topfive judge?") from error
    texts = (judgement.question, judgement.photo, judgement.judge, judgement.at)
    if (
        judgement.verdict not in get_args(Verdict)
        or judgement.left not in get_args(Side)
        or not all(isinstance(text, str) for text in texts)
    ):
        raise ConfigurationError(f"{where}: it is no judgement ({line[:200]}); is it a file of topfive judge?")
    return judgement
