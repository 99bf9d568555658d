"""Tells whether a network was exported as it is in training: then it answers by chance, or by its neighbours."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import onnx

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.graphs.nodes import attribute, constants

_TRAINING_MODE = 2
"""The place of this input of `Dropout`, which has it since opset 12; without it nothing is dropped."""


def must_not_train(model: Any, path: Path) -> None:
    """Raise `ConfigurationError` if nodes of `model`, the graph at `path`, are in training mode.

    `BatchNormalization` then takes mean and variance from the images at hand, not from training: it says so in
    `training_mode`, and before opset 14 by having outputs for these. `Dropout` drops other values each time.
    """
    known = constants(model.graph)
    of_image = {value.name for value in model.graph.input}
    trained: Counter[str] = Counter()
    for node in model.graph.node:
        if of_image & set(node.input):  # else it standardises weights, as timm's BiT does
            of_image.update(node.output)
            trained[node.op_type] += _is_training(node, known)
    trained = +trained
    if trained:
        shown = ", ".join(f"{count} {op}" for op, count in sorted(trained.items()))
        raise ConfigurationError(
            f"{path}: it was exported in training mode ({shown}), in which an image's answer changes by chance or with "
            "the images beside it; call model.eval() and export it again, without training="
        )


def _is_training(node: Any, known: dict[str, Any]) -> bool:
    if node.op_type == "BatchNormalization":
        return attribute(node, "training_mode", 0) == 1 or len([name for name in node.output if name]) > 1
    if node.op_type == "Dropout" and len(node.input) > _TRAINING_MODE:
        tensor = known.get(node.input[_TRAINING_MODE])
        return tensor is not None and bool(onnx.numpy_helper.to_array(tensor).any())
    return False
