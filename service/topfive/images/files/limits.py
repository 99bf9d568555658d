"""The arguments of decoding: a body, the limits of images, and the rules that an operator may choose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from topfive.ground.errors import TooLarge

Buffer = bytes | bytearray | memoryview
"""The types that a body may have."""


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """The most that is accepted: pixels of one image, pixels along one side, images in one request."""

    max_pixels: int
    max_dimension: int
    max_images: int

    def check(self, height: int, width: int) -> None:
        """Raise `TooLarge` if an image of that size is not accepted."""
        if max(height, width) > self.max_dimension:
            raise TooLarge(f"the image is {height}x{width}; a side may have at most {self.max_dimension} pixels")
        if height * width > self.max_pixels:
            raise TooLarge(f"the image has {height * width} pixels; at most {self.max_pixels} are accepted")


@dataclass(frozen=True, slots=True)
class DecodingRules:
    """Rules of decoding; see the settings of the same names."""

    allow_damaged_images: bool = False
    convert_colour_profiles: bool = True


USUAL_RULES: Final = DecodingRules()
"""The rules of a service with default settings."""
