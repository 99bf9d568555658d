"""What an engine gives of a loaded graph, and of one run of it: the interface that `backends.embedded` runs."""

from __future__ import annotations

from typing import Any, Protocol

from numpy.typing import NDArray


class Run(Protocol):
    """One run of a graph. Soon after `terminate` is set to true, the run ends with an error, if the engine can."""

    terminate: bool


class LoadedGraph(Protocol):
    """One loaded graph with one input; `run` may be called from several threads at once.

    - `threads`: how many threads one run uses.
    - `on_caller`: whether a run uses the calling thread alone, so that the thread's CPU time is the run's cost.
    - `on_gpu`: whether it runs on a GPU.
    - `outputs`: the names of what `run` returns, in its order.
    """

    threads: int
    on_caller: bool
    on_gpu: bool
    outputs: tuple[str, ...]

    def new_run(self) -> Run:
        """The handle of a run to come, for `run`."""

    def run(self, tensor: NDArray[Any], run: Any = None) -> list[NDArray[Any]]:
        """The graph's outputs for `tensor`, strings as objects; `run` comes from `new_run`, and is used once."""

    def give_back_memory(self, tensor: NDArray[Any]) -> None:
        """Run once more, and return to the system the memory that loading and larger runs have freed."""

    def close(self) -> None:
        """Release the graph; runs that have begun are ended, and no run can begin after this."""
