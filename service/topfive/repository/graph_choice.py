"""Which of a version's graphs is served: the one in floating point, or the int8 one that may lie beside it.

What lives here: the choice, and its reason for the log. A config.pbtxt names the int8 graph as
`parameters.int8_model_filename`, which Triton ignores. What does not: the files (`repository.reading`), and in which
precision a file computes (`repository.precision`), which need not be what its name says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from topfive.ground.errors import ConfigurationError
from topfive.machine.cpu_features import DOT_PRODUCTS
from topfive.repository.model_config import ModelConfig

Wish = Literal["auto", "fp32", "int8"]
"""The values of the setting `precision`."""

_LACKS: Final = f"this processor has none of {', '.join(DOT_PRODUCTS)}, or its kernel does not tell"
_ON_GPU: Final = "it may run on a GPU, where int8 graphs do not pay"


@dataclass(frozen=True, slots=True)
class ChosenGraph:
    """The file that is served of a version. `why_not_int8`: empty if it is the int8 one, or the model has none."""

    filename: str
    why_not_int8: str = ""


@dataclass(frozen=True, slots=True)
class GraphChoice:
    """The rule for all models of a process. `why_not_int8`: why no model is served from its int8 graph; else empty.

    `has_gpu`: whether a model that asks for no device may run on a GPU.
    """

    why_not_int8: str = ""
    has_gpu: bool = False

    def choose(self, config: ModelConfig, files: Sequence[str]) -> ChosenGraph:
        """The graph of a version that has these `files`."""
        wanted = config.int8_filename
        if not wanted:
            return ChosenGraph(config.filename)
        why = self.why_not_int8
        if config.device == "gpu" or (config.device == "auto" and self.has_gpu):
            why = why or _ON_GPU
        elif wanted not in files:
            why = why or "this version has none"
        return ChosenGraph(config.filename, f"not {wanted}: {why}") if why else ChosenGraph(wanted)


FLOATING_POINT: Final = GraphChoice("model.onnx is asked for")
"""The rule of who looks at a repository without serving it."""


def graph_choice(precision: Wish, features: Sequence[str], *, backend: str, has_gpu: bool) -> GraphChoice:
    """The rule for the setting `precision` on a processor with `features`, of `DOT_PRODUCTS`.

    Without them int8 is slower than floating point, and on x86 wrong too: pairs of products are summed in 16 bits,
    which overflow. Raises `ConfigurationError` if `precision` asks for what the processor or the `backend` cannot do.
    """
    if backend != "embedded":
        if precision == "int8":
            raise ConfigurationError(
                f"precision 'int8' needs the backend 'embedded', for with '{backend}' this process runs no classifier; "
                "remove the setting"
            )
        return GraphChoice(f"the backend is '{backend}'")
    if precision == "fp32":
        return GraphChoice("the setting precision is 'fp32'")
    if features:
        return GraphChoice(has_gpu=has_gpu)
    if precision == "int8":
        raise ConfigurationError(
            f"precision 'int8' asks for what the machine lacks: {_LACKS}. Without them int8 is slower than floating "
            "point, and may answer wrongly; set 'auto' or 'fp32'"
        )
    return GraphChoice(_LACKS)
