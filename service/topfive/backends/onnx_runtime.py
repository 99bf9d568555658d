"""ONNX Runtime: only this module imports it. `Graph` is one loaded graph; it runs on the caller's thread.

Another thread can end a run: the runtime looks at `RunOptions.terminate` between a graph's nodes, also inside loops. It
cannot end a node that never returns.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from numpy.typing import NDArray

from topfive.backends.gpu_providers import CUDA, TENSORRT, gpu_providers
from topfive.backends.graph_files import why_not_loaded
from topfive.backends.interfaces import check_interface
from topfive.backends.runtime_builds import CHOOSE, check_builds, installed_builds
from topfive.ground.errors import ConfigurationError
from topfive.ground.types import TensorSpec
from topfive.machine.freed_memory import give_back_freed_memory
from topfive.repository.gpu_accelerators import Gpu
from topfive.repository.model_config import Device

_LOG_WARNINGS: Final = 2
_CPU: Final = "CPUExecutionProvider"
_CPU_ONLY: Final = Gpu()


@lru_cache(maxsize=1)
def runtime() -> Any:
    """The package onnxruntime; if it is missing or not whole, raises `ConfigurationError`, which says what to install.

    It is imported only when a graph is loaded, so that commands that load no graph work without it.
    """
    check_builds(installed_builds())
    try:
        import onnxruntime
    except ImportError as error:
        raise ConfigurationError(f"Python cannot load the ONNX Runtime that is installed: {error}; {CHOOSE}") from error
    # `pip uninstall` of one of two builds leaves a folder without its files, and Python still imports it.
    if not hasattr(onnxruntime, "InferenceSession"):
        raise ConfigurationError(f"files of the ONNX Runtime that is installed are missing; {CHOOSE}")
    return onnxruntime


class Graph:
    """One ONNX graph with one input; `run` may be called from several threads at once.

    `threads`: intra-op threads; with 1 the graph runs wholly on the calling thread, unless it is `on_gpu`. `device`:
    where to load it, and `gpu` how there; `engine_cache` is the folder within which TensorRT may keep its engines.
    Raises `ConfigurationError` if the file cannot be loaded, or not on that device, or if its interface is not what
    `inputs` and `outputs` declare.
    """

    def __init__(
        self,
        path: Path,
        *,
        threads: int,
        inputs: Sequence[TensorSpec],
        outputs: Sequence[TensorSpec],
        device: Device = "cpu",
        gpu: Gpu = _CPU_ONLY,
        engine_cache: Path | None = None,
    ) -> None:
        ort = runtime()
        providers = _providers(path, device, gpu, engine_cache)
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = _LOG_WARNINGS
        # Threads may spin between the operators of a run, but not after it, so that an idle service uses no CPU.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        try:
            # Whoever asks for a GPU wants no other device instead of it.
            self._session: Any = ort.InferenceSession(
                path, options, providers=providers, enable_fallback=int(device != "gpu")
            )
        except Exception as error:  # the runtime raises a dozen unrelated types for a bad file
            if gpu.tensorrt and "TensorRT" in str(error):
                raise _no_tensorrt(path) from error
            why = why_not_loaded(path, error)
            raise ConfigurationError(f"{path}: onnxruntime cannot load this graph: {why}") from error
        first = self._session.get_providers()[0]
        self.on_gpu = first in (CUDA, TENSORRT)
        if gpu.tensorrt and first != TENSORRT:
            raise _no_tensorrt(path)
        if device == "gpu" and not self.on_gpu:
            raise ConfigurationError(
                f"{path}: its config.pbtxt asks for a GPU (KIND_GPU), and ONNX Runtime finds none that it can use; "
                "install the extra `gpu` on a machine with an NVIDIA GPU, or set KIND_AUTO or KIND_CPU"
            )
        check_interface(path, (inputs, outputs), (self._session.get_inputs(), self._session.get_outputs()))
        self.threads = threads
        self.on_caller = threads == 1 and not self.on_gpu
        self._input = inputs[0].name
        self.outputs = tuple(output.name for output in outputs)
        self._runs: set[Any] = set()

    def new_run(self) -> Any:
        """Options of one run; soon after their `terminate` is set to true, the run ends with an error."""
        return runtime().RunOptions()

    def run(self, tensor: NDArray[Any], run: Any = None) -> list[NDArray[Any]]:
        """The graph's outputs for `tensor`, in the order of `outputs`; `run` comes from `new_run`."""
        options = self.new_run() if run is None else run
        self._runs.add(options)
        try:
            results: list[NDArray[Any]] = self._session.run(self.outputs, {self._input: tensor}, options)
        finally:
            self._runs.discard(options)
        return results

    def close(self) -> None:
        """Release the session; runs that have begun are ended, and no run can begin after this."""
        self._session = None
        for options in tuple(self._runs):
            options.terminate = True

    def give_back_memory(self, tensor: NDArray[Any]) -> None:
        """Run once more, and return to the system the memory that loading and larger runs have freed."""
        options = self.new_run()
        options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        self.run(tensor, options)
        give_back_freed_memory()


def may_use_gpu() -> bool:
    """Whether the runtime is a build for GPUs; whether there is one it knows only once it has opened a graph."""
    return CUDA in runtime().get_available_providers()


def _no_tensorrt(path: Path) -> ConfigurationError:
    return ConfigurationError(
        f"{path}: its config.pbtxt asks for TensorRT, and ONNX Runtime cannot load it, or finds no GPU: install the "
        "version of TensorRT that this onnxruntime-gpu is built for, so that the system's loader finds libnvinfer.so "
        "(LD_LIBRARY_PATH); or remove the gpu_execution_accelerator, and CUDA runs the graph"
    )


def _providers(path: Path, device: Device, gpu: Gpu, engine_cache: Path | None) -> list[Any]:
    """The runtime's providers for `device`, first choice first; if one does not work, the runtime takes the next."""
    ort = runtime()
    there = ort.get_available_providers()
    if gpu.tensorrt and TENSORRT not in there:
        raise ConfigurationError(
            f"{path}: its config.pbtxt asks for TensorRT, and the ONNX Runtime that is installed is built without it; "
            f"install the extra `gpu` ({CHOOSE}) and TensorRT, or remove the gpu_execution_accelerator"
        )
    if device == "cpu" or not may_use_gpu():
        return [_CPU]
    ort.preload_dlls()  # CUDA's libraries from pip, which the system's loader does not find
    return [*gpu_providers(path, gpu, engine_cache), _CPU]
