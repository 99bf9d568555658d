"""Finds which value of a network holds the scores of its classes, and makes an inner value an output.

What does not live here: what has been done to the scores already (`graphs.scores`).
"""

from __future__ import annotations

import difflib
from dataclasses import replace
from typing import Any, Final

import onnx

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.graphs.network import Network, Value, shown
from topfive_pipeline.graphs.nodes import ELEMENT_TYPES
from topfive_pipeline.graphs.running import noise, run, session

_NEAR: Final = 5
"""How many names a message lists when there is none as asked for."""
_FLOATS: Final = frozenset({"float32", "float16", "float64"})


def choose_output(network: Network, name: str | None = None, *, besides: str | None = None) -> Value:
    """The output of `network` with its scores, [N,k], [N,k,1,1] or [N,1,1,k]: the one called `name`, or the only one.

    The output called `besides`, an embedding, is no candidate. Raises `ConfigurationError` if there is none or, without
    a name, several.
    """
    if name is not None:
        chosen = next((value for value in network.outputs if value.name == name), None)
        if chosen is None:
            outputs = ", ".join(value.described() for value in network.outputs)
            raise ConfigurationError(
                f"the network has no output '{name}'; it has {outputs}: name one of them by --output"
            )
        if not _holds_scores(chosen):
            raise ConfigurationError(
                f"the output {chosen.described()} cannot hold scores of classes, float [N,k]{_why(chosen)}"
            )
        return chosen
    candidates = [value for value in network.outputs if _holds_scores(value) and value.name != besides]
    if len(candidates) == 1:
        return candidates[0]
    if candidates:
        listed = "; ".join(f"--output {value.name} ({value.dtype} {shown(value.shape)})" for value in candidates)
        raise ConfigurationError(f"several outputs of the network could be its scores; say which one: {listed}")
    floats = [value for value in network.outputs if value.dtype in _FLOATS]
    if not floats:
        outputs = ", ".join(value.described() for value in network.outputs) or "none that is a tensor"
        raise ConfigurationError(
            f"the network gives no scores: its outputs are {outputs}; export it with its scores, float32 [N,k], as one"
        )
    outputs = ", ".join(value.described() for value in floats)
    raise ConfigurationError(f"this is not a classifier: output shape {outputs} where [N,k] is needed{_why(floats[0])}")


def classes_of(output: Value) -> int:
    """How many classes an output with scores has."""
    return next((length for length in output.shape[1:] if length and length > 1), 1)


def expose(network: Network, name: str) -> Network:
    """`network` with the value called `name` among its outputs, so that it can be served as an embedding.

    Raises `ConfigurationError` if there is no such value, or none that has one row of floats for each image.
    """
    if all(value.name != name for value in network.outputs):
        computed = [output for node in network.model.graph.node for output in node.output if output]
        if name not in computed:
            near = difflib.get_close_matches(name, computed, n=_NEAR, cutoff=0.3) or computed[-_NEAR - 1 : -1]
            listed = ", ".join(f"'{value}'" for value in near)
            raise ConfigurationError(f"the network computes no value '{name}'; near names: {listed}")
        network = _with_output(network, name)
    value = next(value for value in network.outputs if value.name == name)
    if value.dtype not in _FLOATS or len(value.shape) < 2 or value.shape[0] not in {None, network.batch}:
        raise ConfigurationError(
            f"the value {value.described()} is no embedding: that is floats, a row for each image; name another one"
        )
    return network


def _with_output(network: Network, name: str) -> Network:
    model = onnx.ModelProto()
    model.CopyFrom(network.model)
    model.graph.output.append(
        onnx.ValueInfoProto(name=name)
    )  # the runtime knows the type of a value that is only named
    taken = network.input
    images = network.batch or 2
    try:
        running = session(model, network.external)
        array = run(running, {taken.name: noise(network.input_shape(images), taken.dtype)})[name]
    except Exception as error:  # the runtime raises a dozen unrelated types
        raise ConfigurationError(
            f"onnxruntime cannot compute the value '{name}' of {images} images: {error}"
        ) from error
    shape: tuple[int | None, ...] = array.shape
    if network.batch is None and shape[:1] == (images,):
        shape = (None, *shape[1:])
    dims: list[Any] = ["N" if axis == 0 and length is None else length for axis, length in enumerate(shape)]
    element = ELEMENT_TYPES.get(str(array.dtype), onnx.TensorProto.UNDEFINED)
    model.graph.output[-1].CopyFrom(onnx.helper.make_tensor_value_info(name, element, dims))
    value = Value(name=name, dtype=str(array.dtype), shape=shape)
    return replace(network, model=model, outputs=(*network.outputs, value))


def _holds_scores(value: Value) -> bool:
    return value.dtype in _FLOATS and len(value.shape) >= 2 and sum(length != 1 for length in value.shape[1:]) <= 1


def _why(value: Value) -> str:
    """A guess at what the network is, as the end of a sentence."""
    if len(value.shape) < 2:
        return "; export it so that a batch of images gives a row for each image"
    if len(value.shape) == 4:
        rows, kinds = "a value for every place of the image", "networks for segmentation"
    else:
        rows, kinds = "many rows for an image", "detectors"
    return f"; it gives {rows}, as {kinds} and feature extractors do: export the whole classifier"
