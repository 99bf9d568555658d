"""What decoding is given: a body, the bounds on images, and what an operator may choose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from topfive.ground.errors import TooLarge

Buffer = bytes | bytearray | memoryview
"""What a body may be."""


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """Largest image that is accepted: pixels of one image, pixels along one side, images in one request."""

    max_pixels: int
    max_dimension: int
    max_images: int

    def check(self, height: int, width: int) -> None:
        """Raise `TooLarge` if an image of that size may not come in."""
        if max(height, width) > self.max_dimension:
            raise TooLarge(f"the image is {height}x{width}; a side may have at most {self.max_dimension} pixels")
        if height * width > self.max_pixels:
            raise TooLarge(f"the image has {height * width} pixels; at most {self.max_pixels} are accepted")


@dataclass(frozen=True, slots=True)
class DecodingRules:
    """See the settings of the same names."""

    allow_damaged_images: bool = False
    convert_colour_profiles: bool = True


USUAL_RULES: Final = DecodingRules()
"""Those of a service that is told nothing else."""
