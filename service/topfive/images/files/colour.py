"""Converts colours to sRGB, for images whose embedded ICC profile is another one.

littleCMS does the arithmetic, with perceptual intent. Its transform for a profile is made once and kept. Whether a
profile is sRGB is also found once: not by its name, but by converting sample colours.
"""

from __future__ import annotations

import hashlib
import io
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image, ImageCms

_SPACES: Final = {"RGB": b"RGB ", "RGBA": b"RGB ", "L": b"GRAY", "CMYK": b"CMYK"}
_RESULTS: Final = {"RGB": "RGB", "RGBA": "RGBA", "L": "RGB", "CMYK": "RGB"}
_CLASSES: Final = (b"mntr", b"scnr", b"prtr", b"spac")
MAX_PROFILE_BYTES: Final = 4 << 20
"""The largest profile that is used; profiles of printers have up to two megabytes."""
_HEAD_BYTES: Final = 128
_SAME: Final = 2
"""The most levels by which two profiles of sRGB differ."""
_KEPT: Final = 32
_FLAGS: Final = ImageCms.Flags.NOCACHE  # threads share a transform, so they must not share its one-colour cache
_SRGB: Final = ImageCms.createProfile("sRGB")
_STEPS: Final = np.linspace(0, 255, 9).astype(np.uint8)


@dataclass(frozen=True, slots=True)
class _Conversion:
    """The conversion from one profile to sRGB; `transform` is None if there is nothing to convert."""

    transform: ImageCms.ImageCmsTransform | None


class ColourProfiles:
    """Keeps the conversions that were used last; any thread may use it."""

    def __init__(self, kept: int = _KEPT) -> None:
        self._kept = kept
        self._found: OrderedDict[tuple[bytes, str], _Conversion] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._found)

    def to_srgb(self, image: Image.Image, profile: bytes | None) -> Image.Image:
        """`image`, of mode RGB, RGBA, L or CMYK, in sRGB; unchanged if `profile` is sRGB, damaged, or of another space.

        RGB and RGBA are converted in place.
        """
        if profile is None or not _fits(profile, image.mode):
            return image
        transform = self._conversion(profile, image.mode).transform
        if transform is None:
            return image
        if _RESULTS[image.mode] == image.mode:
            ImageCms.applyTransform(image, transform, inPlace=True)
            return image
        converted = ImageCms.applyTransform(image, transform)
        assert converted is not None
        return converted

    def changes(self, profile: bytes | None, mode: str) -> bool:
        """Whether `to_srgb` changes images of that mode; if not, an array need not become a Pillow image first."""
        return profile is not None and _fits(profile, mode) and self._conversion(profile, mode).transform is not None

    def _conversion(self, profile: bytes, mode: str) -> _Conversion:
        key = (hashlib.blake2b(profile, digest_size=16).digest(), mode)
        with self._lock:
            if (found := self._found.get(key)) is not None:
                self._found.move_to_end(key)
                return found
        made = _made(profile, mode)
        with self._lock:
            self._found[key] = made
            while len(self._found) > self._kept:
                self._found.popitem(last=False)
        return made


def _fits(profile: bytes, mode: str) -> bool:
    """Whether `profile` has the head of an ICC profile for images of `mode`."""
    return (
        _HEAD_BYTES < len(profile) <= MAX_PROFILE_BYTES
        and profile[36:40] == b"acsp"
        and profile[16:20] == _SPACES.get(mode)
        and profile[12:16] in _CLASSES
    )


def _made(profile: bytes, mode: str) -> _Conversion:
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        transform = ImageCms.buildTransform(
            source, _SRGB, mode, _RESULTS[mode], renderingIntent=ImageCms.Intent.PERCEPTUAL, flags=_FLAGS
        )
        sample = _sample(mode)
        converted = ImageCms.applyTransform(sample, transform)
    except (ImageCms.PyCMSError, OSError, ValueError):  # a damaged profile counts as no profile
        return _Conversion(None)
    assert converted is not None
    if mode != "CMYK":
        difference = np.asarray(converted).astype(int) - np.asarray(sample.convert(_RESULTS[mode]))
        if np.abs(difference).max() <= _SAME:
            return _Conversion(None)
    return _Conversion(transform)


def _sample(mode: str) -> Image.Image:
    """An image of colours from all over the colour space."""
    if mode == "L":
        return Image.fromarray(np.arange(256, dtype=np.uint8)[np.newaxis])
    grid = np.stack(np.meshgrid(_STEPS, _STEPS, _STEPS), axis=-1).reshape(1, -1, 3)
    return Image.fromarray(np.ascontiguousarray(grid)).convert(mode)
