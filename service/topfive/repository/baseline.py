"""A baseline's file, `baseline.json` beside the versions of a model: how it is written, and strictly read.

What lives here: the file. What does not: what its buckets mean (`ground.drift`), and how it is made: `topfive baseline`
and the launch gate do that.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any, Final

from topfive.ground.drift import (
    FORMAT_NAMES,
    FORMATS,
    LABELS,
    MOST_CHARACTERS,
    MOST_LABELS,
    NONE,
    OTHER,
    SIGNALS,
    Baseline,
    bounds_of,
)
from topfive.ground.errors import ConfigurationError

BASELINE: Final = "baseline.json"
_FORMAT: Final = 1
_TEXTS: Final = ("version", "source", "created")
_MOST_BYTES: Final = 1 << 16
_REMEDY: Final = "make it anew by `topfive baseline`, or remove it"


def text_of(baseline: Baseline) -> str:
    """The text of the file."""
    texts = {name: getattr(baseline, name) for name in _TEXTS}
    return json.dumps({"format": _FORMAT, **texts, "counts": baseline.counts}, indent=2, ensure_ascii=False) + "\n"


def read_baseline(path: Path) -> Baseline:
    """The baseline in the file at `path`; raises `ConfigurationError`, which says what is wrong, without the path."""
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(f"it cannot be read ({error.strerror}); let the service's user read it") from error
    if len(data) > _MOST_BYTES:
        raise ConfigurationError(f"it has more than {_MOST_BYTES >> 10} KiB, so it is no baseline; {_REMEDY}")
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"it is no JSON ({error}); {_REMEDY}") from error
    try:
        return _baseline(found)
    except ValueError as error:
        raise ConfigurationError(f"{error}; {_REMEDY}") from error


def _baseline(found: Any) -> Baseline:
    if not isinstance(found, dict):
        raise ValueError("it is no JSON object")
    if found.get("format") != _FORMAT:
        raise ValueError(f"its format is {found.get('format')!r}, and this service reads {_FORMAT}")
    _check_keys("its members", found, ("format", *_TEXTS, "counts"))
    for name in _TEXTS:
        if not isinstance(found[name], str):
            raise ValueError(f"its {name} is no text")
    counts = found["counts"]
    if not isinstance(counts, dict):
        raise ValueError("its counts are no object")
    _check_keys("its counts", counts, SIGNALS)
    for signal, buckets in counts.items():
        _check_signal(signal, buckets)
    return Baseline(counts, *(found[name] for name in _TEXTS))


def _check_signal(signal: str, buckets: Any) -> None:
    if not isinstance(buckets, dict):
        raise ValueError(f"its counts of {signal} are no object")
    for bucket, count in buckets.items():
        if type(count) is not int or not 0 <= count < 1 << 53:
            raise ValueError(f"its count of {signal} {bucket!r} is no number of images")
    if not sum(buckets.values()):
        raise ValueError(f"its counts of {signal} are all 0")
    if signal == LABELS:
        _check_labels(buckets)
    else:
        _check_keys(f"its counts of {signal}", buckets, FORMAT_NAMES if signal == FORMATS else bounds_of(signal))


def _check_labels(buckets: Collection[str]) -> None:
    named = [bucket for bucket in buckets if bucket not in (OTHER, NONE)]
    if len(named) > MOST_LABELS:
        raise ValueError(f"it has {len(named)} labels, of at most {MOST_LABELS}")
    if any(not 1 <= len(bucket) <= MOST_CHARACTERS for bucket in named):
        raise ValueError(f"one of its labels is empty, or longer than {MOST_CHARACTERS} characters")
    for bucket in named:
        try:
            bucket.encode()
        except UnicodeEncodeError as error:  # JSON can write half a character, and /metrics could not
            raise ValueError(f"its label {bucket!r} is no text in UTF-8") from error


def _check_keys(what: str, found: Collection[str], wanted: Collection[str]) -> None:
    missing, unknown = [key for key in wanted if key not in found], [key for key in found if key not in wanted]
    if missing:
        raise ValueError(f"{what} lack {', '.join(map(repr, missing))}")
    if unknown:
        raise ValueError(f"{what} have {', '.join(map(repr, unknown[:3]))}, which means nothing here")
