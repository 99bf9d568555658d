"""What the graphs must compute, in Pillow and NumPy: the specification that tests and evaluation compare with.

Lives here: decoding, resizing, cropping, normalising. Not here: the network (`network`), and any trick for speed.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

SHORT_SIDE = 256
CROP = 224


def decode(path: Path) -> Image.Image:
    """Return a photo as the camera held it (EXIF orientation applied), mode RGB.

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
    """Return what the network is fed: UINT8 [N,224,224,3] -> FP32 [N,3,224,224], (x - 127) / 128."""
    planes = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2), dtype=np.float32)
    return (planes - np.float32(127)) / np.float32(128)
