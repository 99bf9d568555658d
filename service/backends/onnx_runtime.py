"""ONNX Runtime: the only file that imports it. `Graph` is one loaded graph, run on the caller's thread."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import onnxruntime as ort
from numpy.typing import NDArray

from service.errors import ConfigurationError
from service.types import TensorSpec

_LOG_WARNINGS: Final = 2


class Graph:
    """One ONNX graph with one input, loaded for the CPU; `run` may be called from several threads at once.

    `threads`: intra-op threads; with 1 the graph runs wholly on the calling thread. Raises `ConfigurationError` if
    the file cannot be loaded or its interface is not what `inputs` and `outputs` declare.
    """

    def __init__(
        self, path: Path, *, threads: int, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]
    ) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = _LOG_WARNINGS
        # Threads may spin between the operators of a run, but not after it: an idle service uses no CPU.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        try:
            self._session: Any = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the runtime raises a dozen unrelated types for a bad file
            raise ConfigurationError(f"{path}: onnxruntime cannot load this graph: {error}") from error
        for declared, found in ((inputs, self._session.get_inputs()), (outputs, self._session.get_outputs())):
            _check_interface(path, declared, found)
        self.threads = threads
        self._input = inputs[0].name
        self.outputs = tuple(output.name for output in outputs)

    def run(self, tensor: NDArray[Any]) -> list[NDArray[Any]]:
        """The outputs, in the order of `outputs`, of the graph on `tensor`."""
        results: list[NDArray[Any]] = self._session.run(self.outputs, {self._input: tensor})
        return results

    def close(self) -> None:
        """Let the session go; a run that has begun ends first, and none can begin after this."""
        self._session = None

    def give_back_memory(self, tensor: NDArray[Any]) -> None:
        """Run once more, and return to the system what loading and larger runs had taken and freed."""
        options = ort.RunOptions()
        options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        self._session.run(self.outputs, {self._input: tensor}, options)
        give_back_freed_memory()


def give_back_freed_memory() -> None:
    """Return to the system what has been freed."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):  # glibc's, which by itself keeps what other threads have freed
        libc.malloc_trim(0)


_ONNX_TYPES: Final[Mapping[str, str]] = {
    "UINT8": "tensor(uint8)",
    "INT64": "tensor(int64)",
    "FP32": "tensor(float)",
    "BYTES": "tensor(string)",
}


def _check_interface(path: Path, declared: Sequence[TensorSpec], found: Sequence[Any]) -> None:
    """Raise `ConfigurationError` unless the graph has exactly the tensors that config.pbtxt declares."""
    by_name = {tensor.name: tensor for tensor in found}
    if set(by_name) != {spec.name for spec in declared}:
        raise ConfigurationError(
            f"{path}: the graph has the tensors {sorted(by_name)}, its config.pbtxt declares "
            f"{sorted(spec.name for spec in declared)}; make them the same"
        )
    for spec in declared:
        tensor = by_name[spec.name]
        dims = [size if isinstance(size, int) else -1 for size in tensor.shape]
        if tensor.type != _ONNX_TYPES[spec.datatype] or dims != list(spec.shape):
            raise ConfigurationError(
                f"{path}: '{spec.name}' is {tensor.type} {dims} in the graph, but {spec.datatype} "
                f"{list(spec.shape)} (batch dimension first) in config.pbtxt; make them the same"
            )
