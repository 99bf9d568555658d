"""The specification of the graphs' preprocessing, in Pillow and NumPy; tests and `evaluate` compare with it.

It decodes, resizes, crops and normalises, without tricks for speed. The network is in `network`.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

SHORT_SIDE = 256
CROP = 224


def decode(path: Path) -> Image.Image:
    """Return a photo upright (EXIF orientation applied), mode RGB.

    Raises OSError if the file cannot be read, `PIL.UnidentifiedImageError` (also an OSError) if it is no image.
    """
    with Image.open(path) as image:
        return ImageOps.exif_transpose(image).convert("RGB")


def full_size(width: int, height: int) -> tuple[int, int]:
    """Return (width, height) after resizing: short side 256, long side floor(256 * long / short)."""
    short = min(width, height)
    return SHORT_SIDE * width // short, SHORT_SIDE * height // short


def resize_and_crop(image: Image.Image) -> Image.Image:
    """Return the 224 x 224 centre crop of the image resized to short side 256; small images are enlarged."""
    full = full_size(*image.size)
    left, top = ((length - CROP) // 2 for length in full)
    return image.resize(full, Image.Resampling.BICUBIC).crop((left, top, left + CROP, top + CROP))


def normalise(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Return the network's input: UINT8 [N,224,224,3] -> FP32 [N,3,224,224], (x - 127) / 128."""
    planes = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2), dtype=np.float32)
    return (planes - np.float32(127)) / np.float32(128)
