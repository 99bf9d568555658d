"""Rewrites a graph whose batch was fixed at its export, so that a batch of any size goes through it.

Exporters fold shapes to constants: `Reshape` to [1,197,12,64], say. So each value is followed from the input on, to see
where the images of a batch are in it. Reshaping changes dimensions, but never how many elements come before one image's
turn in the row-major order, and so tells where the batch is afterwards. What is here are guesses by rules;
`graphs.batch` proves each result by running it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import onnx

from topfive_pipeline.graphs.nodes import Nodes, attribute, constants

Shape = tuple[int, ...]
_REDUCING: Final = frozenset(
    f"Reduce{how}" for how in ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum")
)
_SHAPELESS: Final = frozenset({"Shape", "Size", "ConstantOfShape", "Range", "NonZero"})
"""Operators whose results are no images, whatever goes in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guess:
    """What is guessed where a reshaping leaves two possibilities.

    `join_next`: a batch that has no dimension of its own any more is joined with the dimension behind it (attention
    heads: [197, 12, 64] of N images is [197, N*12, 64]) unless that is the last; else always with the one before it.
    `first_one`: of several dimensions of length 1, the first is the batch.
    """

    join_next: bool = True
    first_one: bool = True


GUESSES: Final = (Guess(), Guess(first_one=False), Guess(join_next=False), Guess(join_next=False, first_one=False))


@dataclass(frozen=True, slots=True)
class At:
    """Where a batch is in a value: in the dimension `axis`, of `inner` * N * some elements."""

    axis: int
    inner: int = 1


def place(before: int, shape: Sequence[int], guess: Guess) -> At | None:
    """Where the batch is in `shape`, the shape for one image, if `before` elements come before it; None if nowhere."""
    starts = [math.prod(shape[:axis]) for axis in range(len(shape))]
    ones = [axis for axis, length in enumerate(shape) if length == 1 and starts[axis] == before]
    if ones:
        return At(ones[0 if guess.first_one else -1])
    for axis, (start, length) in enumerate(zip(starts, shape, strict=True)):
        if start == before:
            is_last = axis == len(shape) - 1
            joined = axis - 1 if axis and (is_last or not guess.join_next) else axis
            return At(joined, before // starts[joined])
        if start < before < start * length and before % start == 0:
            return At(axis, before // start)
    return None


class Rewriting:
    """One pass over a graph. `shapes` are those of its values for a single image; `model` is changed in place."""

    def __init__(self, model: Any, shapes: Mapping[str, Shape], *, opset: int, guess: Guess) -> None:
        self._graph = model.graph
        self._shapes = shapes
        self._guess = guess
        self._constants = constants(model.graph)
        self._nodes = Nodes(opset=opset, prefix="freed/")
        self._carrier = ""  # the input of the node at hand that is followed
        self._given: Shape = ()  # the shape of its output
        self._at: dict[str, At] = {}
        self._lengths: set[str] = set()
        self.changed: Counter[str] = Counter()
        """How many nodes were changed, by operator."""

    def run(self) -> None:
        """Follow the batch through all nodes, and change those that fix it."""
        self._at[self._graph.input[0].name] = At(0)
        rules: dict[str, Callable[[Any, At, Shape], At | None]] = {
            "Reshape": self._reshape,
            "Flatten": self._flatten,
            "Unsqueeze": self._unsqueeze,
            "Squeeze": self._without_axes,
            "Transpose": self._transpose,
            "Expand": self._expand,
            "Concat": self._concat,
            "Resize": self._resize,
            "Gather": self._gather,
            "Gemm": lambda node, at, _: at if at.axis == attribute(node, "transA", 0) else None,
            "Einsum": self._einsum,
        }
        for node in list(self._graph.node):
            carrier = next((value for value in node.input if value in self._at), None)
            if carrier is not None and node.op_type not in _SHAPELESS:
                rule = rules.get(node.op_type, self._without_axes if node.op_type in _REDUCING else self._aligned)
                self._follow(node, rule, carrier)
            elif carrier is not None or any(value in self._lengths for value in node.input):
                self._lengths.update(node.output)
            self._nodes.nodes.append(node)
        del self._graph.node[:]
        self._graph.node.extend(self._nodes.nodes)
        self._graph.initializer.extend(self._nodes.initialisers)

    def _follow(self, node: Any, rule: Callable[[Any, At, Shape], At | None], carrier: str) -> None:
        for output in node.output:
            given = self._shapes.get(output)
            if given is not None and carrier in self._shapes:
                self._carrier, self._given = carrier, given
                at = rule(node, self._at[carrier], self._shapes[carrier])
                if at is not None and at.axis < len(given):
                    self._at[output] = at

    def _numbers(self, value: str) -> list[int] | None:
        """The integers of a constant."""
        tensor = self._constants.get(value)
        return None if tensor is None else [int(n) for n in onnx.numpy_helper.to_array(tensor).reshape(-1)]

    def _axes(self, node: Any, rank: int) -> list[int] | None:
        """The axes of Squeeze, Unsqueeze or a reduction; None if they are not constant."""
        axes = attribute(node, "axes")
        if axes is None and len(node.input) > 1:
            axes = self._numbers(node.input[1])
        return None if axes is None else [axis % rank for axis in axes]

    def _aligned(self, node: Any, at: At, taken: Shape) -> At | None:
        """Operators that keep the batch where it is; ranks are aligned at their ends, as broadcasting does it."""
        axis = at.axis + len(self._given) - len(taken)
        return At(axis, at.inner) if 0 <= axis < len(self._given) else None

    def _without_axes(self, node: Any, at: At, taken: Shape) -> At | None:
        """Squeeze and reductions: dimensions before the batch may go."""
        if len(self._given) == len(taken):
            return at
        axes = self._axes(node, len(taken))
        if axes is None or at.axis in axes:
            return None
        return At(at.axis - sum(axis < at.axis for axis in axes), at.inner)

    def _flatten(self, node: Any, at: At, taken: Shape) -> At | None:
        return place(math.prod(taken[: at.axis]) * at.inner, self._given, self._guess)

    def _unsqueeze(self, node: Any, at: At, taken: Shape) -> At | None:
        axes = self._axes(node, len(self._given))
        if axes is None:
            return None
        return At([axis for axis in range(len(self._given)) if axis not in axes][at.axis], at.inner)

    def _reshape(self, node: Any, at: At, taken: Shape) -> At | None:
        """Every dimension becomes a number, but the batch's, which is left to be computed (-1)."""
        moved = place(math.prod(taken[: at.axis]) * at.inner, self._given, self._guess)
        if moved is not None and 0 not in self._given:
            self._set_target(node, moved.axis, -1)
        return moved

    def _expand(self, node: Any, at: At, taken: Shape) -> At | None:
        """A target of 1 leaves the batch's dimension as it is."""
        moved = self._aligned(node, at, taken) if self._carrier == node.input[0] else None
        if moved is not None and self._given[moved.axis] == taken[at.axis]:
            self._set_target(node, moved.axis, 1)
        return moved

    def _set_target(self, node: Any, axis: int, length: int) -> None:
        target = [length if place_ == axis else own for place_, own in enumerate(self._given)]
        if self._numbers(node.input[1]) != target:
            node.input[1] = self._nodes.integers(*target)
            self.changed[node.op_type] += 1

    def _transpose(self, node: Any, at: At, taken: Shape) -> At | None:
        order = list(attribute(node, "perm") or reversed(range(len(taken))))
        return At(order.index(at.axis), at.inner)

    def _einsum(self, node: Any, at: At, taken: Shape) -> At | None:
        terms, _, result = attribute(node, "equation").decode().replace(" ", "").partition("->")
        term = terms.split(",")[list(node.input).index(self._carrier)]
        if "." in terms or term[at.axis] not in result:
            return None
        return At(result.index(term[at.axis]), at.inner)

    def _concat(self, node: Any, at: At, taken: Shape) -> At | None:
        """What is the same for every image (a class token) is repeated for each."""
        rank = len(taken)
        if attribute(node, "axis") % rank == at.axis:
            return None
        for input_, value in enumerate(node.input):
            if value not in self._at and value not in self._lengths:
                images = self._images(at.axis, taken)
                ones = [self._nodes.integers(*[1] * count) if count else "" for count in (at.axis, rank - 1 - at.axis)]
                parts = [part for part in (ones[0], images, ones[1]) if part]
                repeats = self._nodes.add("Concat", *parts, axis=0) if len(parts) > 1 else images
                node.input[input_] = self._nodes.add("Tile", value, repeats)
                self.changed[node.op_type] += 1
        return at

    def _images(self, axis: int, taken: Shape) -> str:
        """INT64 [1]: how many images are in the value that is followed."""
        shape = self._nodes.add("Shape", self._carrier)
        length = self._nodes.add("Gather", shape, self._nodes.integers(axis), axis=0)
        return length if taken[axis] == 1 else self._nodes.add("Div", length, self._nodes.integers(taken[axis]))

    def _resize(self, node: Any, at: At, taken: Shape) -> At | None:
        """Sizes are given for all dimensions: the batch's is read from the input."""
        sizes = self._numbers(node.input[3]) if len(node.input) > 3 and node.input[3] else None
        if sizes and len(sizes) == len(taken) and at == At(0):
            node.input[3] = self._nodes.add("Concat", self._images(0, taken), self._nodes.integers(*sizes[1:]), axis=0)
            self.changed[node.op_type] += 1
        return at

    def _gather(self, node: Any, at: At, taken: Shape) -> At | None:
        """One place of a dimension, which goes then, or some of them."""
        gathered = attribute(node, "axis", 0) % len(taken)
        if gathered == at.axis or self._carrier != node.input[0]:
            return None
        return At(at.axis + (len(self._given) - len(taken) if gathered < at.axis else 0), at.inner)


def with_shapes(model: Any) -> tuple[Any, dict[str, str]]:
    """A copy of `model` that gives the shapes of all its values instead, and whose shape each output is."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    nodes, asked = list(copy.graph.node), {}
    values = [output for node in copy.graph.node for output in node.output if output and _is_tensor(node)]
    for number, value in enumerate([copy.graph.input[0].name, *values]):
        asked[f"freed/shape_{number}"] = value
        nodes.append(onnx.helper.make_node("Shape", [value], [f"freed/shape_{number}"]))
    del copy.graph.node[:], copy.graph.output[:], copy.graph.value_info[:]
    copy.graph.node.extend(nodes)
    copy.graph.output.extend(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.INT64, [None]) for name in asked)
    return copy, asked


def _is_tensor(node: Any) -> bool:
    return not node.op_type.startswith(("Sequence", "Optional", "SplitToSequence", "ZipMap"))


def as_shape(array: np.ndarray[Any, Any]) -> Shape:
    """A shape that was computed by a graph."""
    return tuple(int(length) for length in array)
