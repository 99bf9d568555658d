"""Makes a network take batches of any size, and proves it: 4 images at once give what the 4 give alone."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import onnx

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.graphs.batch_axes import GUESSES, Rewriting, as_shape, with_shapes
from topfive_pipeline.graphs.network import Network
from topfive_pipeline.graphs.nodes import nodes_in
from topfive_pipeline.graphs.running import Arrays, noise, run, session
from topfive_pipeline.graphs.scan import scanned
from topfive_pipeline.graphs.strides import gathers_as_reshapes
from topfive_pipeline.preprocessing.rules import Size

_IMAGES: Final = 4
_TOLERANCES: Final[Mapping[str, float]] = {"float16": 1e-2, "float32": 1e-5, "float64": 1e-5}
"""How much of its largest number an output may differ by: sums are added up in another order in a batch."""
_MIXED: Final = 0.05
"""The part of the difference between two images' outputs that a batch must stay below: else it mixes them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Freed:
    """A network with a free batch; `how` says in a sentence what was done, `warnings` what it costs.

    `by`: it was `free` already, or was freed by `rules` or by a `scan`. `difference` is the largest one of an output
    between a batch and single images, as a part of that output's largest number. `single_ms` and `batch_ms` are
    milliseconds for an image, alone in the network as it was and in a batch of 4 now.
    """

    network: Network
    by: Literal["free", "rules", "scan"]
    how: str
    difference: float
    single_ms: float
    batch_ms: float
    warnings: tuple[str, ...] = ()


def free_batch(network: Network, *, size: Size | None = None) -> Freed:
    """`network` with a free batch; `size` says how many pixels it will get if it takes any number.

    Raises `ConfigurationError` if it does not run, or no way leads to a free batch.
    """
    if network.batch not in {None, 1}:
        raise ConfigurationError(
            f"the network takes {network.batch} images at once, always; export it again with a batch dimension that is "
            "free, or of 1"
        )
    images = _images(network, size)
    try:
        running = session(network.model, network.external)
        singles, single_ms = _run_singles(running, network, images)
    except ConfigurationError:
        raise
    except Exception as error:  # the runtime raises a dozen unrelated types
        raise ConfigurationError(f"onnxruntime cannot run the network on one image: {error}") from error
    failed = ""
    for candidate, by, how in _candidates(network, images[0]):
        try:
            if candidate is not network:
                running = session(candidate.model, candidate.external)
            found, batch_ms = _run_batch(running, candidate, images)
        except Exception as error:  # noqa: BLE001 # likewise; and the next candidate may run
            failed = failed or str(error)
            continue
        difference = _difference(found, singles)
        if difference is None:
            failed = failed or "images of a batch change each other's results"
            continue
        return _freed(candidate, by, how, difference=difference, single_ms=single_ms, batch_ms=batch_ms, failed=failed)
    raise ConfigurationError(
        f"no batch of several images goes through the network ({failed}); export it again with a batch dimension that "
        "is free"
    )


def _freed(
    network: Network,
    by: Literal["free", "rules", "scan"],
    how: str,
    *,
    difference: float,
    single_ms: float,
    batch_ms: float,
    failed: str,
) -> Freed:
    warnings = (_cost(network, single_ms, batch_ms, failed),) if by == "scan" else ()
    proven = f"; {_IMAGES} images at once give what they give alone (difference {difference:.0e})"
    return Freed(
        network=network,
        by=by,
        how=how + proven,
        difference=difference,
        single_ms=single_ms,
        batch_ms=batch_ms,
        warnings=warnings,
    )


def _cost(network: Network, single_ms: float, batch_ms: float, failed: str) -> str:
    remedy = "export it again with a batch dimension that is free"
    if any(node.op_type == "DynamicQuantizeLinear" for node in nodes_in(network.model)):
        remedy = "quantise it statically: dynamic quantisation takes its range from a whole batch"
    reason = failed.splitlines()[0] if failed else "there is no rule for it"
    return (
        f"the network runs image by image: {batch_ms:.1f} ms for each of {_IMAGES} images at once, {single_ms:.1f} ms "
        f"for one alone, so batches gain nothing; a batch as such fails ({reason}); {remedy}"
    )


def _images(network: Network, size: Size | None) -> list[npt.NDArray[Any]]:
    """Inputs [1,...] that differ in noise, contrast and brightness, so that their outputs differ too."""
    shape, dtype = network.input_shape(1, size=size), network.input.dtype
    if dtype == "uint8":
        return [noise(shape, dtype, seed=seed) // (seed + 1) for seed in range(_IMAGES)]
    return [(noise(shape, dtype, seed=seed) * (0.5 + seed) + (seed - 1) * 0.5).astype(dtype) for seed in range(_IMAGES)]


def _run_singles(running: Any, network: Network, images: list[npt.NDArray[Any]]) -> tuple[Arrays, float]:
    """The outputs for all images, one by one, and milliseconds for each."""
    run(running, {network.input.name: images[0]})
    start = time.perf_counter()
    rows = [run(running, {network.input.name: image}) for image in images]
    taken = (time.perf_counter() - start) / _IMAGES * 1e3
    return {name: np.concatenate([row[name] for row in rows]) for name in _floats(rows[0])}, taken


def _run_batch(running: Any, network: Network, images: list[npt.NDArray[Any]]) -> tuple[list[Arrays], float]:
    """The outputs for all images at once, and for the first one alone; milliseconds for each image of the batch."""
    batch = np.concatenate(images)
    alone = run(running, {network.input.name: images[0]})
    run(running, {network.input.name: batch})
    start = time.perf_counter()
    together = run(running, {network.input.name: batch})
    return [together, alone], (time.perf_counter() - start) / _IMAGES * 1e3


def _floats(outputs: Arrays) -> list[str]:
    return [name for name, array in outputs.items() if array.dtype.kind == "f" and array.ndim]


def _difference(found: list[Arrays], singles: Arrays) -> float | None:
    """The largest difference, as a part of an output's largest number; None if it is too large, or shapes differ."""
    largest = 0.0
    for name, wanted in singles.items():
        finite = np.where(np.isfinite(wanted), wanted, 0)
        spread, scale = float(np.abs(finite - finite[:1]).max()), float(np.abs(finite).max())
        for rows, outputs in zip((_IMAGES, 1), found, strict=True):
            got = outputs[name]
            if got.shape != (rows, *wanted.shape[1:]):
                return None
            # The same infinities and NaN have no difference that is a number; that they are none, the proof says.
            unlike = (got != wanted[:rows]) & ~(np.isnan(got) & np.isnan(wanted[:rows]))
            apart = float(np.abs(got[unlike].astype(np.float64) - wanted[:rows][unlike]).max(initial=0.0))
            if not (apart <= _TOLERANCES[str(wanted.dtype)] * scale and apart <= _MIXED * spread):
                return None
            largest = max(largest, apart / scale if scale else 0.0)
    return largest


def _candidates(
    network: Network, image: npt.NDArray[Any]
) -> Iterator[tuple[Network, Literal["free", "rules", "scan"], str]]:
    """Networks that may take batches, the best first; how each was made."""
    if network.batch is None:
        yield network, "free", "its batch is free already"
    try:
        model, asked = with_shapes(network.model)
        found = run(session(model, network.external), {network.input.name: image})
        shapes = {value: as_shape(found[name]) for name, value in asked.items()}
    except (ConfigurationError, MemoryError):
        raise  # a run without end, or too large: another way would fare no better
    except Exception:  # noqa: BLE001 # some graphs have values without a shape; no rule can be used then
        shapes = {}
    tried: list[Any] = []
    for guess in GUESSES if shapes else ():
        model = _declared_free(network)
        gathers_as_reshapes(model.graph, shapes)
        rewriting = Rewriting(model, shapes, opset=network.opset, guess=guess)
        rewriting.run()
        if any(model.graph.node == other.graph.node for other in tried):
            continue
        tried.append(model)
        changed = ", ".join(f"{count} {op}" for op, count in sorted(rewriting.changed.items()))
        how = "its batch was fixed to 1" if network.batch else "its batch was said to be free, and was not"
        how += f"; changed for any number: {changed}" if changed else " by its declaration only"
        yield _with(network, model), "rules", how
    how = "no rule freed its batch, so it runs image by image (a Scan over the batch)"
    yield _with(network, scanned(network)), "scan", how


def _with(network: Network, model: Any) -> Network:
    taken = replace(network.input, shape=(None, *network.input.shape[1:]))
    outputs = tuple(replace(value, shape=(None, *value.shape[1:])) for value in network.outputs)
    return replace(network, model=model, input=taken, outputs=outputs)


def _declared_free(network: Network) -> Any:
    """A copy whose input and outputs are declared with a batch of any size."""
    model = onnx.ModelProto()
    model.CopyFrom(network.model)
    del model.graph.value_info[:]
    for info, value in zip(model.graph.output, network.outputs, strict=True):
        element = info.type.tensor_type.elem_type
        info.CopyFrom(onnx.helper.make_tensor_value_info(value.name, element, ["N", *value.shape[1:]]))
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "N"
    return model
