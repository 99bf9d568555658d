"""A replacement for Triton's backend `onnxruntime`, run by its Python backend, so that no `config.pbtxt` changes.

The server resolves `backend: "onnxruntime"` to the folder of this name, and finds this file in it. It runs in the
server's own interpreter, with NumPy 1 and ONNX Runtime, and imports nothing of this project.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import triton_python_backend_utils as triton

THREADS = {"intra_op_thread_count": "intra_op_num_threads", "inter_op_thread_count": "inter_op_num_threads"}


class TritonPythonModel:
    """One instance of a model, with its own session."""

    def initialize(self, args: Mapping[str, str]) -> None:
        """Load the graph with the same options from the configuration as the C++ backend."""
        config = json.loads(args["model_config"])
        options = ort.SessionOptions()
        for parameter, option in THREADS.items():
            if parameter in config["parameters"]:
                setattr(options, option, int(config["parameters"][parameter]["string_value"]))
        path = Path(args["model_repository"], args["model_version"], config["default_model_filename"] or "model.onnx")
        self._session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._inputs = [node.name for node in self._session.get_inputs()]
        self._outputs = [node.name for node in self._session.get_outputs()]

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Run the server's batch; if it fails, every request in it fails."""
        members = [
            [triton.get_input_tensor_by_name(request, name).as_numpy() for name in self._inputs] for request in requests
        ]
        tensors = map(np.concatenate, zip(*members, strict=True))
        feeds = dict(zip(self._inputs, tensors, strict=True))
        try:
            results = self._session.run(self._outputs, feeds)
        except Exception as error:  # noqa: BLE001  # whatever it is, the server passes it on to the clients
            failure = triton.TritonError(str(error))
            return [triton.InferenceResponse(error=failure) for _ in requests]
        ends = np.cumsum([len(first) for first, *_ in members])[:-1]
        parts = zip(*(np.split(result, ends) for result in results), strict=True)
        return [triton.InferenceResponse([*map(triton.Tensor, self._outputs, own)]) for own in parts]
