"""Tells what a network has done to its scores already, so that no softmax is applied twice, and what is left to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

import onnx

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.graphs.network import Network, Value
from topfive_pipeline.graphs.nodes import attribute, constants, producers
from topfive_pipeline.graphs.outputs import classes_of

Kind = Literal["softmax", "sigmoid", "log-softmax", "logits"]
"""What the scores are: probabilities that sum up to 1, one probability for each class, logarithms, or anything else."""
ScoresChoice = Literal["auto", "softmax", "sigmoid", "as-is"]
Scores = Literal["softmax", "sigmoid", "as-is", "exp"]
"""What makes probabilities of the scores."""
_SHAPES_ONLY: Final = frozenset({"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Cast", "Dropout", "Clip"})
"""Operators that leave probabilities what they are."""
_POST_TRANSFORMS: Final[Mapping[bytes, Kind]] = {
    b"LOGISTIC": "sigmoid",
    b"SOFTMAX": "softmax",
    b"SOFTMAX_ZERO": "softmax",
}
"""What ONNX-ML's linear classifiers do to their scores."""


def scores_kind(network: Network, output: Value) -> Kind:
    """What the scores in `output` are, by the operators that compute them."""
    graph = network.model.graph
    return _Trace(producers(graph), constants(graph)).kind(output.name)


def resolve_scores(kind: Kind, output: Value, *, asked: ScoresChoice = "auto", multi_label: bool = False) -> Scores:
    """What must still be done to scores of `kind`, if `asked` for by the user; `multi_label`: classes exclude no other.

    Raises `ConfigurationError` if it would be done twice, or makes no sense for one column.
    """
    if asked in {"softmax", "sigmoid"} and kind in {"softmax", "sigmoid"}:
        raise ConfigurationError(
            f"the network ends in a {kind} already, so --scores {asked} would flatten its probabilities silently; say "
            "--scores as-is, or leave it to --scores auto"
        )
    if asked == "softmax" and classes_of(output) == 1:
        raise ConfigurationError("a softmax over one score is always 1; say --scores sigmoid, with two labels")
    if asked != "auto":
        return asked
    if kind in {"softmax", "sigmoid"}:
        return "as-is"
    if kind == "log-softmax":
        return "exp"
    return "sigmoid" if multi_label or classes_of(output) == 1 else "softmax"


class _Trace:
    """Walks back from a value; every form that exporters write is one method that answers None where it is another."""

    def __init__(self, made_by: Mapping[str, Any], known: Mapping[str, Any]) -> None:
        self._made_by = made_by
        self._known = known

    def kind(self, value: str) -> Kind:
        node = self._node(value)
        if node is None:
            return "logits"
        simple: dict[str, Kind] = {"Softmax": "softmax", "LogSoftmax": "log-softmax", "Sigmoid": "sigmoid"}
        if node.op_type in simple:
            return simple[node.op_type]
        forms: dict[str, Callable[[Any], Kind | None]] = {
            "Div": self._quotient,
            "Mul": self._product,
            "Reciprocal": lambda node: "sigmoid" if self._is_one_plus_exp(node.input[0]) else None,
            "Log": lambda node: "log-softmax" if self.kind(node.input[0]) == "softmax" else None,
            "Sub": self._difference,
            "Exp": lambda node: "softmax" if self.kind(node.input[0]) == "log-softmax" else None,
            "Concat": self._two_of_one,
            "Normalizer": lambda node: "softmax" if attribute(node, "norm", b"MAX") == b"L1" else None,
            "LinearClassifier": _of_linear,
            "SVMClassifier": lambda node: "softmax" if attribute(node, "prob_a") else None,
            "TreeEnsembleClassifier": lambda _: "softmax",
        }
        found = forms.get(node.op_type)
        return (found(node) if found else None) or "logits"

    def _node(self, value: str) -> Any:
        """The node that computes `value`, up to operators that only change its shape."""
        node = self._made_by.get(value)
        while node is not None and node.op_type in _SHAPES_ONLY:
            node = self._made_by.get(node.input[0])
        return node

    def _op(self, value: str) -> str:
        node = self._node(value)
        return node.op_type if node is not None else ""

    def _number(self, value: str) -> float | None:
        tensor = self._known.get(value)
        if tensor is None:
            return None
        array = onnx.numpy_helper.to_array(tensor)
        return float(array.reshape(-1)[0]) if array.size == 1 and array.dtype.kind in "fiu" else None

    def _quotient(self, node: Any) -> Kind | None:
        above, below = node.input
        if self._is_sum(below, above):
            return "softmax"  # exp(x) / sum(exp(x)), or shares of anything
        if self._number(above) == 1 and self._is_one_plus_exp(below):
            return "sigmoid"
        return None

    def _product(self, node: Any) -> Kind | None:
        for above, inverse in (node.input, reversed(list(node.input))):
            reciprocal = self._node(inverse)
            if (
                reciprocal is not None
                and reciprocal.op_type == "Reciprocal"
                and self._is_sum(reciprocal.input[0], above)
            ):
                return "softmax"
        return None

    def _difference(self, node: Any) -> Kind | None:
        """The form x - log(sum(exp(x)))."""
        below = self._node(node.input[1])
        if below is None:
            return None
        if below.op_type == "ReduceLogSumExp":
            return "log-softmax"
        if below.op_type == "Log" and self._op(below.input[0]) == "ReduceSum":
            summed = self._node(below.input[0])
            return "log-softmax" if self._op(summed.input[0]) == "Exp" else None
        return None

    def _is_sum(self, value: str, of: str) -> bool:
        node = self._node(value)
        return (
            node is not None
            and node.op_type in {"ReduceSum", "ReduceL1"}
            and self._node(node.input[0]) is self._node(of)
        )

    def _is_one_plus_exp(self, value: str) -> bool:
        node = self._node(value)
        if node is None or node.op_type != "Add":
            return False
        first, second = node.input
        return (self._number(first) == 1 and self._op(second) == "Exp") or (
            self._number(second) == 1 and self._op(first) == "Exp"
        )

    def _two_of_one(self, node: Any) -> Kind | None:
        """(1 - p, p): a binary classifier of scikit-learn."""
        if len(node.input) != 2:
            return None
        first, second = node.input
        other = self._node(first)
        if other is None or other.op_type != "Sub" or self._number(other.input[0]) != 1:
            return None
        return "softmax" if self._node(other.input[1]) is self._node(second) else None


def _of_linear(node: Any) -> Kind | None:
    return _POST_TRANSFORMS.get(attribute(node, "post_transform", b"NONE"))
