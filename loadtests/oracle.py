"""The oracle: it computes the right top-1 label of an image from the graphs of the model repository.

It reads the model's `config.pbtxt` and runs its graphs with ONNX Runtime, in the simplest way. It shares no code with
the service, whose answers it judges.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime
from google.protobuf import text_format
from numpy.typing import NDArray
from tritonclient.grpc import model_config_pb2

Pixels = NDArray[np.uint8]
"""RGB, UINT8 [height, width, 3]."""

CLASSES: Final = "classes"
PROBABILITIES: Final = "probabilities"


class NoOracle(Exception):
    """The model repository cannot give the right answers."""


@dataclass(frozen=True, slots=True)
class Top:
    """The most probable label, and its lead over the second."""

    label: str
    margin: float


class Oracle:
    """The newest version of one model of a repository; raises `NoOracle` if it cannot be run here.

    `in_int8`: the models that the server runs in INT8: of them the int8 graph is run, if one lies beside the other.
    """

    def __init__(self, repository: Path, model: str, *, in_int8: Collection[str] = ()) -> None:
        self.model = model
        self._in_int8 = in_int8
        self._repository = repository
        self.graphs: list[Path] = []
        self._steps: list[tuple[onnxruntime.InferenceSession, dict[str, str], dict[str, str]]] = []
        config = self._config(model)
        if config.HasField("ensemble_scheduling"):
            for step in config.ensemble_scheduling.step:
                self._add(step.model_name, dict(step.input_map), dict(step.output_map))
        else:
            names = [*(one.name for one in config.input), *(one.name for one in config.output)]
            same = {name: name for name in names}
            self._add(model, {one.name: one.name for one in config.input}, same)
        self.input: str = config.input[0].name
        height, width, *_ = config.input[0].dims
        self.size: tuple[int, int] | None = (width, height) if width > 0 and height > 0 else None
        """Width and height of the model's input, if they are fixed."""

    def top(self, image: Pixels) -> Top:
        """The top-1 of one image."""
        tensors: dict[str, Any] = {self.input: image[np.newaxis]}
        for session, inputs, outputs in self._steps:
            names = [output.name for output in session.get_outputs()]
            made = session.run(names, {name: tensors[tensor] for name, tensor in inputs.items()})
            tensors |= {outputs[name]: value for name, value in zip(names, made, strict=True) if name in outputs}
        classes, probabilities = tensors[CLASSES][0], tensors[PROBABILITIES][0]
        return Top(str(classes[0]), float(probabilities[0] - probabilities[1]))

    def _config(self, model: str) -> Any:
        path = self._repository / model / "config.pbtxt"
        try:
            return text_format.Parse(path.read_text(), model_config_pb2.ModelConfig())
        except (OSError, text_format.ParseError) as error:
            raise NoOracle(
                f"the right answers are computed from the served model, and {path} cannot be read ({error}); "
                "name the folder with --model-repository and the model with --model"
            ) from error

    def _add(self, model: str, inputs: dict[str, str], outputs: dict[str, str]) -> None:
        graphs = list((self._repository / model).glob("[0-9]*/model.onnx"))
        if not graphs:
            raise NoOracle(f"{self._repository / model} has no <version>/model.onnx: only ONNX graphs can be judged")
        graph = max(graphs, key=lambda path: int(path.parent.name))
        graph = self._int8(model, graph) or graph
        self.graphs.append(graph)
        session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
        self._steps.append((session, inputs, outputs))

    def _int8(self, model: str, graph: Path) -> Path | None:
        """The int8 graph beside `graph`, if the server runs that."""
        parameters = self._config(model).parameters
        if model not in self._in_int8 or "int8_model_filename" not in parameters:
            return None
        beside = graph.with_name(parameters["int8_model_filename"].string_value)
        return beside if beside.is_file() else None
