"""A Keras network by tf2onnx: MobileNetV2 of width 0.35 with random weights, NHWC, prepared by Keras' own functions."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Final

import keras
import numpy as np
import tensorflow as tf
import tf2onnx
from numpy.typing import NDArray
from PIL import Image

from benchmarks.zoo_models.saving import MODEL, TOLERANCE, Recipe, folder_of, pictures, save, write_labels

SEED: Final = 14
SIDE: Final = 160
CLASSES: Final = 20
SPREAD: Final = 2.0
"""Standard deviation of a score over photos; see `torch_models`."""

Array = NDArray[Any]


def network(inputs: Array) -> Any:
    """The network, with the statistics of `inputs` in its BatchNorms, and scores that differ between photos.

    Filters in space are made positive. Else half of them would see little of a photo but its noise, BatchNorm would
    make that as loud as the rest, and half a level would change the answer, as in no network that was trained.
    """
    body = keras.applications.MobileNetV2(
        input_shape=(SIDE, SIDE, 3), alpha=0.35, weights=None, include_top=False, pooling="avg"
    )
    for layer in body.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
        if isinstance(layer, keras.layers.DepthwiseConv2D) or layer.name == "Conv1":
            layer.set_weights([np.abs(weights) for weights in layer.get_weights()])
    body(inputs, training=True)
    features = np.asarray(body(inputs, training=False))
    weights = np.random.default_rng(SEED).normal(size=(features.shape[1], CLASSES))
    scores = features @ weights
    factor = SPREAD / scores.std(axis=0).mean()
    last = keras.layers.Dense(CLASSES, activation="softmax")
    model = keras.Sequential([keras.Input((SIDE, SIDE, 3)), body, last])
    last.set_weights([weights * factor, -scores.mean(axis=0) * factor])
    return model


def by_pillow(photo: Image.Image) -> Array:
    """As `keras.utils.load_img(path, target_size, interpolation="bilinear")`: Pillow's resize of the whole picture."""
    small = photo.resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    return np.asarray(keras.utils.img_to_array(small), np.float32)


def by_tensorflow(photo: Image.Image) -> Array:
    """As `image_dataset_from_directory` and `Resizing`: TensorFlow's resize, without antialias and without rounding."""
    return np.asarray(tf.image.resize(np.asarray(photo), (SIDE, SIDE)), np.float32)


def main(out: Path) -> None:
    """Write the network twice, as it is used with either resize."""
    keras.utils.set_random_seed(SEED)
    photos = pictures(out)
    prepare = keras.applications.mobilenet_v2.preprocess_input
    model = network(prepare(np.stack([by_pillow(photo) for photo in photos[:32]])))
    words = f"--preset keras-tf --resize squash --crop {SIDE} --interpolation bilinear".split()
    # TensorFlow does not round after it has resized: half a level more or less, everywhere.
    for name, load, more, tolerance in (
        ("keras", by_pillow, ["--antialias"], TOLERANCE),
        ("keras_no_antialias", by_tensorflow, ["--no-antialias"], 5e-2),
    ):
        folder = folder_of(out, name)
        spec = (tf.TensorSpec((None, SIDE, SIDE, 3), tf.float32, name="input"),)
        tf2onnx.convert.from_function(
            tf.function(lambda batch: model(batch, training=False)), spec, output_path=str(folder / MODEL)
        )
        inputs = prepare(np.stack([load(photo) for photo in photos]))
        said = [*words, *more, "--labels", write_labels(folder / "labels.json", [f"sort {n}" for n in range(CLASSES)])]
        recipe = Recipe(arguments=said, tolerance=tolerance)
        save(out, name, recipe, probabilities=np.asarray(model(inputs)), inputs=inputs)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
