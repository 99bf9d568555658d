"""OpenVINO: only this module imports it. `Graph` is one graph, compiled for the CPU; it runs on OpenVINO's own threads.

Another thread can end a run: OpenVINO looks between a graph's nodes whether it was cancelled. It cannot end a node that
never returns, and unlike ONNX Runtime no loop either: to OpenVINO a loop is one node.

OpenVINO computes integers in 32 bits where the graph has 64, and an index beyond the end of a list is no error to it.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from topfive.backends.graph_files import why_not_loaded
from topfive.backends.interfaces import check_interface
from topfive.ground.errors import BackendFailure, ConfigurationError
from topfive.ground.types import TensorSpec
from topfive.machine.cpu_features import multiplies_bfloat16
from topfive.machine.freed_memory import give_back_freed_memory
from topfive.repository.accelerators import Precision

_WITHOUT: Final = "or remove execution_accelerators from its config.pbtxt, and ONNX Runtime runs it"
_MOST_WORDS: Final = 400
"""Characters of an error of OpenVINO that are told: some list every operation that a graph has."""
_HINTS: Final[dict[Precision, str]] = {"fp32": "f32", "bf16": "bf16"}
_ONNX_TYPES: Final = {
    "boolean": "tensor(bool)",
    "u8": "tensor(uint8)",
    "i32": "tensor(int32)",
    "i64": "tensor(int64)",
    "f16": "tensor(float16)",
    "f32": "tensor(float)",
    "f64": "tensor(double)",
    "string": "tensor(string)",
}
"""By OpenVINO's name of a type, ONNX Runtime's: messages name types in one way, whichever engine found them."""


@lru_cache(maxsize=1)
def _openvino() -> Any:
    """The package, imported only for a graph that asks for it; raises `ConfigurationError` if it is missing."""
    try:
        import openvino
    except ImportError as error:
        raise ConfigurationError(
            f"OpenVINO cannot be loaded ({error}); install the extra `openvino` (pip install 'topfive[openvino]'), "
            f"{_WITHOUT}"
        ) from error
    return openvino


def load() -> None:
    """Load OpenVINO and what it needs for the CPU; raises `ConfigurationError` if it is missing."""
    _core().get_property("CPU", "FULL_DEVICE_NAME")


def is_installed() -> bool:
    """Whether OpenVINO can be loaded."""
    try:
        _openvino()
    except ConfigurationError:
        return False
    return True


@lru_cache(maxsize=1)
def _core() -> Any:
    return _openvino().Core()


class _Run:
    """One run. `terminate` may be set from any thread, before the run begins too."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._request: Any = None
        self._terminated = False

    @property
    def terminate(self) -> bool:
        return self._terminated

    @terminate.setter
    def terminate(self, wanted: bool) -> None:
        with self._lock:
            self._terminated = wanted
            if wanted and self._request is not None:
                self._request.cancel()

    def begin(self, request: Any) -> None:
        """Start `request`, unless the run was ended before it began."""
        with self._lock:
            if self._terminated:
                raise BackendFailure("the run was ended before it began")
            self._request = request
            request.start_async()

    def ended(self) -> None:
        with self._lock:
            self._request = None


class Compiled:
    """One ONNX graph with one input as it is, whatever config.pbtxt declares; `streams` runs of it go on at once.

    `threads`: for each stream, 0 for OpenVINO's choice. OpenVINO makes no more streams than there are cores; a run
    beyond them waits. Raises `ConfigurationError` if OpenVINO is not installed or cannot load the file, or if the
    processor lacks `precision`.
    """

    on_caller = False
    on_gpu = False

    def __init__(self, path: Path, *, threads: int, streams: int, precision: Precision) -> None:
        core = _core()
        if precision == "bf16" and not multiplies_bfloat16():
            raise ConfigurationError(
                f"{path}: it is to run in the precision bf16, and this processor has neither avx512_bf16 nor "
                "amx_bf16: it could only imitate it; set the precision fp32"
            )
        try:
            model = core.read_model(path)
            self._compiled: Any = core.compile_model(model, "CPU", properties(threads, streams, precision))
        except Exception as error:  # OpenVINO raises RuntimeError for whatever it is
            why = why_not_loaded(path, _Said(_brief(error)))
            raise ConfigurationError(f"{path}: OpenVINO cannot load this graph: {why}; mend it, {_WITHOUT}") from error
        self.threads = threads
        self.takes, self.gives = (tuple(map(_port, ports)) for ports in (model.inputs, model.outputs))
        self._free: SimpleQueue[Any] = SimpleQueue()
        for _ in range(streams):
            self._free.put(self._compiled.create_infer_request())
        self._runs: set[_Run] = set()

    def new_run(self) -> _Run:
        """The handle of a run to come."""
        return _Run()

    def run_for(self, places: Sequence[int], tensor: NDArray[Any], run: _Run | None) -> list[NDArray[Any]]:
        """The outputs at `places` of `gives` for `tensor`; `run` comes from `new_run`. Raises `BackendFailure`."""
        if self._compiled is None:
            raise BackendFailure("the graph is closed")
        run = run or _Run()
        self._runs.add(run)
        request = self._free.get()
        try:
            # Without a copy, if it can be: OpenVINO takes no memory that it could not write to.
            shared = np.require(tensor, requirements=["C", "W"])
            request.set_input_tensor(_openvino().Tensor(shared, shared_memory=True))
            run.begin(request)
            request.wait()
            results = [_values(request.get_output_tensor(place)) for place in places]
        except RuntimeError as error:
            raise BackendFailure(f"OpenVINO: {_brief(error)}") from error
        finally:
            run.ended()
            self._runs.discard(run)
            if self._compiled is not None:
                self._free.put(request)
        return results

    def release_memory(self) -> None:
        """Give up what runs have allocated; the next run allocates it anew."""
        self._compiled.release_memory()

    def close(self) -> None:
        """Release the graph; runs that have begun are ended, and no run can begin after this."""
        self._compiled = None
        while not self._free.empty():
            self._free.get()
        for run in tuple(self._runs):
            run.terminate = True


class Graph(Compiled):
    """A compiled graph that has the interface which `inputs` and `outputs` declare; else `ConfigurationError`.

    `run` may be called from several threads.
    """

    def __init__(
        self,
        path: Path,
        *,
        threads: int,
        streams: int,
        inputs: Sequence[TensorSpec],
        outputs: Sequence[TensorSpec],
        precision: Precision,
    ) -> None:
        super().__init__(path, threads=threads, streams=streams, precision=precision)
        taken = [_found(port, inputs, of_graph=True) for port in self.takes]
        given = [_found(port, outputs, of_graph=False) for port in self.gives]
        check_interface(path, (inputs, outputs), (taken, given))
        self.outputs = tuple(output.name for output in outputs)
        names = [tensor.name for tensor in given]
        self._places = [names.index(name) for name in self.outputs]

    def run(self, tensor: NDArray[Any], run: _Run | None = None) -> list[NDArray[Any]]:
        """The graph's outputs for `tensor`, in the order of `outputs`; `run` comes from `new_run`."""
        return self.run_for(self._places, tensor, run)

    def give_back_memory(self, tensor: NDArray[Any]) -> None:
        """Run once more, and return to the system the memory that loading and larger runs have freed."""
        self.release_memory()
        self.run(tensor)
        give_back_freed_memory()


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output as OpenVINO has it: all its names, its type as ONNX Runtime names it, -1 for a free size."""

    names: frozenset[str]
    type: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Found:
    """A tensor of the graph, as `check_interface` takes it."""

    name: str
    type: str
    shape: list[int]


class _Said(Exception):
    """An error of OpenVINO without the places in its source code."""


def properties(threads: int, streams: int, precision: Precision) -> dict[str, Any]:
    """With which a graph is compiled for the CPU; see `Compiled`."""
    return {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": streams,
        "INFERENCE_NUM_THREADS": threads * streams,
        "ENABLE_HYPER_THREADING": True,  # what counts as a core is the service's decision
        "ENABLE_CPU_PINNING": False,  # other threads, and other graphs, share the cores
        # Without it OpenVINO takes bf16 by itself where the processor has it, or merely could imitate it.
        "INFERENCE_PRECISION_HINT": _HINTS[precision],
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0,  # what is quantised is said by the graph alone
    }


def _port(port: Any) -> Port:
    kind = port.get_element_type().get_type_name()
    shape = (dim.get_length() if dim.is_static else -1 for dim in port.get_partial_shape())
    return Port(frozenset(port.get_names()), _ONNX_TYPES.get(kind, kind), tuple(shape))


def _found(port: Port, declared: Sequence[TensorSpec], *, of_graph: bool) -> _Found:
    """The tensor of `port`, under its declared name if it has that among others.

    `of_graph`: whether its shape is the graph's word. That of an output is what OpenVINO has inferred: it knows more
    of some dimensions than the graph says, and less of others, so that those that do not contradict count as declared.
    """
    spec = next((spec for spec in declared if spec.name in port.names), None)
    shape = list(port.shape)
    if spec is not None and not of_graph and len(shape) == len(spec.shape):
        pairs = enumerate(zip(shape, spec.shape, strict=True))
        shape = [wanted if found == -1 or (wanted == -1 and axis) else found for axis, (found, wanted) in pairs]
    return _Found(spec.name if spec else min(port.names, default=""), port.type, shape)


def _values(tensor: Any) -> NDArray[Any]:
    """The values of an output tensor, whose memory the next run writes to."""
    if tensor.get_element_type().get_type_name() == "string":
        words: NDArray[Any] = tensor.str_data.astype(object)
        return words
    values: NDArray[Any] = tensor.data.copy()
    return values


def _brief(error: Exception) -> str:
    """What `error` says, without where in OpenVINO's source code it says so."""
    lines = [line.strip() for line in str(error).splitlines()]
    said = [line for line in lines if line and not line.startswith(("Exception from src/", "Check '"))]
    return (" ".join(said) or str(error).strip())[:_MOST_WORDS]
