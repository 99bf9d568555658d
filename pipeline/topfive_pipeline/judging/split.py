"""Which photos may make a model and which may judge it: decided by what is in their files.

So the same photo is always in the same part, on every machine and under every name, and no photo that calibrated or
trained a model ever judges it. `sha256sum` shows the part as well, by the first hexadecimal digit of the digest: below
8 a photo calibrates; where weights are trained, that half is for training (below 6) and for choosing between trainings
(6 and 7), and the other half tests. A photo that was encoded anew is another file; no hash of the content can know it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.proof.photos import Photo

Part = Literal["calibrate", "judge"]
Use = Literal["train", "dev", "test"]
"""What a photo is for where weights are trained: `test` is the half that judges."""

_HALF: Final = 0x80
"""The first byte of a digest is below this for half of all files."""
_TRAINS: Final = 0x60
"""And below this for three eighths of all."""


def digest_of(path: Path) -> str:
    """SHA-256 of what is in the file at `path`, in hexadecimal; raises `ConfigurationError` if it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ConfigurationError(f"{path}: it cannot be read ({error.strerror or error}); remove it") from error


def part_of(path: Path) -> Part:
    """What the photo in the file at `path` is for; half of many photos are for each.

    Raises `ConfigurationError` if the file cannot be read.
    """
    return part_of_digest(digest_of(path))


def part_of_digest(digest: str) -> Part:
    """The same for a file whose SHA-256 is `digest`, in hexadecimal."""
    return "calibrate" if int(digest[:2], 16) < _HALF else "judge"


def use_of_digest(digest: str) -> Use:
    """What a photo whose file, or a sample whose bytes, have the SHA-256 `digest` (in hexadecimal) is for in training.

    Of many, three eighths train, one eighth chooses between trainings (dev), and half tests: the half that judges.
    """
    if part_of_digest(digest) == "judge":
        return "test"
    return "train" if int(digest[:2], 16) < _TRAINS else "dev"


def in_use(photos: Sequence[Photo], use: Use) -> list[Photo]:
    """Those of `photos` that are for `use`, in their order."""
    return [photo for photo in photos if use_of_digest(digest_of(photo.path)) == use]


def in_part(photos: Sequence[Photo], part: Part) -> list[Photo]:
    """Those of `photos` that are for `part`, in their order."""
    return [photo for photo in photos if part_of(photo.path) == part]


def fingerprint(photos: Sequence[Photo]) -> str:
    """SHA-256 of the contents and labels of `photos`, in hexadecimal; names and order make no difference.

    Two judgements with the same fingerprint are of the same photos.
    """
    lines = sorted(f"{digest_of(photo.path)} {'' if photo.label is None else photo.label}\n" for photo in photos)
    return hashlib.sha256("".join(lines).encode()).hexdigest()
