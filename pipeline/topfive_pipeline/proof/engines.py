"""Opens graphs on the engines that can serve them, as they are: whatever their interface, which config.pbtxt declares.

What lives here: the sessions, and what this machine can run. What does not: the server's own sessions
(`judging.sessions`), and what is asked of graphs (`proof.running`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import onnx
from numpy.typing import NDArray

from topfive.backends import openvino_runtime
from topfive.backends.graph_files import why_not_loaded
from topfive.backends.onnx_runtime import runtime
from topfive.ground.errors import ConfigurationError
from topfive.machine.cpu_features import multiplies_bfloat16
from topfive.repository.accelerators import Engine, Precision

_FATAL_ONLY: Final = 4
"""What goes wrong is raised; the runtime would write it to standard error too."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """An input or output of a graph: `type` as ONNX Runtime names it; a free dimension is its name, or None."""

    name: str
    type: str
    shape: list[int | str | None]


class Session(Protocol):
    """A graph on an engine, whose name is `engine`; `run` raises what the engine raises."""

    engine: str
    inputs: list[Tensor]
    outputs: list[Tensor]

    def new_run(self) -> Any:
        """The handle of a run: if its `terminate` is set, the run ends with an error."""

    def run(self, names: Sequence[str], feed: tuple[str, NDArray[Any]], run: Any) -> list[NDArray[Any]]:
        """The outputs `names` for the input and its value, `feed`."""


def why_not(engine: Engine, precision: Precision) -> str | None:
    """Why this machine does not run floating-point graphs on `engine` in `precision`; None if it does."""
    if engine == "onnxruntime":
        return None if precision == "fp32" else "ONNX Runtime has no bf16 for whole networks on CPUs"
    if not openvino_runtime.is_installed():
        return "the extra `openvino` is not installed (pip install 'topfive[openvino]')"
    if precision == "bf16" and not multiplies_bfloat16():
        return "this processor has neither avx512_bf16 nor amx_bf16, so bf16 could only be imitated"
    return None


def prepare(engine: Engine) -> None:
    """Load the libraries of `engine`; raises `ConfigurationError` if it is not installed."""
    if engine == "openvino":
        openvino_runtime.load()
    else:
        runtime()


def opened(path: Path, *, engine: Engine, precision: Precision, threads: int, streams: int = 1) -> Session:
    """Open the file at `path` on the CPU; `threads` for each run, 0 for the engine's choice.

    `streams`: how many runs go on at once, where the engine must know it. Raises `ConfigurationError` if it cannot be
    loaded, or this machine cannot run it so.
    """
    if (why := why_not(engine, precision)) is not None:
        raise ConfigurationError(f"{path}: this machine cannot run it on {engine} in {precision}: {why}")
    if engine == "openvino":
        return _OpenVino(path, precision=precision, threads=threads, streams=streams)
    return _OnnxRuntime(path, threads=threads)


class _OnnxRuntime:
    engine = "onnxruntime"

    def __init__(self, path: Path, *, threads: int) -> None:
        ort = runtime()
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = _FATAL_ONLY
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # which takes CPU of others
        try:
            self._session: Any = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the runtime raises a dozen unrelated types for a bad file
            raise ConfigurationError(
                f"{path}: onnxruntime cannot load this graph: {why_not_loaded(path, error)}"
            ) from error
        self.inputs, self.outputs = (
            [Tensor(each.name, each.type, list(each.shape)) for each in found]
            for found in (self._session.get_inputs(), self._session.get_outputs())
        )

    def new_run(self) -> Any:
        return runtime().RunOptions()

    def run(self, names: Sequence[str], feed: tuple[str, NDArray[Any]], run: Any) -> list[NDArray[Any]]:
        results: list[NDArray[Any]] = self._session.run(list(names), dict([feed]), run)
        return results


class _OpenVino:
    engine = "openvino"

    def __init__(self, path: Path, *, precision: Precision, threads: int, streams: int) -> None:
        self._graph = openvino_runtime.Compiled(path, threads=threads, streams=streams, precision=precision)
        stored = onnx.load(path, load_external_data=False).graph
        fixed = {each.name for each in stored.initializer}
        self.inputs = _named(self._graph.takes, [each.name for each in stored.input if each.name not in fixed])
        self.outputs = _named(self._graph.gives, [each.name for each in stored.output])
        self._places = {each.name: place for place, each in enumerate(self.outputs)}

    def new_run(self) -> Any:
        return self._graph.new_run()

    def run(self, names: Sequence[str], feed: tuple[str, NDArray[Any]], run: Any) -> list[NDArray[Any]]:
        return self._graph.run_for([self._places[name] for name in names], feed[1], run)


def _named(ports: Sequence[openvino_runtime.Port], names: Sequence[str]) -> list[Tensor]:
    """The tensors of `ports` under their names in the file: OpenVINO may know one by others too."""
    return [
        Tensor(
            next((name for name in names if name in port.names), ""),
            port.type,
            [None if size == -1 else size for size in port.shape],
        )
        for port in ports
    ]
