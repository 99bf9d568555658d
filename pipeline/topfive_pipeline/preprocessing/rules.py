"""The rules by which a picture becomes a network's input: one frozen value, which everything else is made from.

`preprocessing.reference` is what the rules mean, in Pillow and NumPy; `graphs.resize` and `graphs.head` are the same as
ONNX graphs. What does not live here: where rules come from (`preprocessing.choices`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Size = tuple[int, int]
"""Height and width in pixels."""
ResizeRule = Literal["short-side", "squash", "letterbox", "none"]
CropRounding = Literal["floor", "half-even"]
Interpolation = Literal["bicubic", "bilinear", "nearest"]
Colour = Literal["rgb", "bgr", "grey"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocessing:
    """What happens to an upright RGB image, UINT8 [H, W, 3], until it is a network's input: resize, crop, normalise.

    1.  **Resize**, to whole grey levels:
        - `short-side`: the shorter side becomes `short_side`, the longer one floor(short_side * longer / shorter), as
          torchvision's `Resize(int)` does.
        - `squash`: to `resize_to`, whatever the aspect ratio.
        - `letterbox`: the largest size that fits into `crop` with the aspect ratio kept, centred on a ground of the
          grey level `fill`, as Pillow's `ImageOps.pad` does.
        - `none`: the image stays as it is.
        `interpolation` and `antialias` say how. With antialias the filter grows as an image shrinks, as in Pillow;
        without, it sees the nearest source pixels only, as OpenCV and TensorFlow do. (`nearest` has none.)
    2.  **Crop** the centre, `crop`. An odd margin is split by `crop_rounding`: its half is rounded down (`floor`,
        Pillow users and Hugging Face), or to the even neighbour (`half-even`: torchvision, timm). Where the image is
        smaller than the crop, it is padded with `fill` first, the smaller half of the padding at the left and at the
        top.
    3.  **Colour**: the network's channels, `rgb`, `bgr` or `grey` (one channel, Pillow's `convert("L")`).
    4.  **Normalise**: (level * `scale` - `mean`) / `std`; `mean` and `std` have one number, or one for each of the
        network's channels in the network's order.
    """

    resize: ResizeRule
    short_side: int | None = None
    resize_to: Size | None = None
    fill: int = 0
    interpolation: Interpolation = "bicubic"
    antialias: bool = True
    crop: Size
    crop_rounding: CropRounding = "floor"
    colour: Colour = "rgb"
    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def channels(self) -> int:
        """How many channels the network takes."""
        return 1 if self.colour == "grey" else 3
