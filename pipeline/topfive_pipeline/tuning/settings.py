"""The settings of one model that are tuned: as they are in its config.pbtxt, and those that are worth trying. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from topfive.backends.engines import SessionPlan, layout_of
from topfive.repository.accelerators import Engine, Precision
from topfive.repository.model_config import ModelConfig

_MICROSECONDS: Final = 1e6
_DELAY: Final = 2000
"""Microseconds: about what a small network takes for an image, so that a batch may gain company for one more."""
_NAMES: Final[dict[Engine, str]] = {"onnxruntime": "ONNX Runtime", "openvino": "OpenVINO"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a config.pbtxt comes to on a machine: `instances` and `threads` are those that the server will have.

    `delay`: `max_queue_delay_microseconds`; None without `dynamic_batching`, so that nothing is batched.
    """

    instances: int
    threads: int
    max_batch_size: int
    delay: int | None
    engine: Engine = "onnxruntime"
    precision: Precision = "fp32"

    @property
    def title(self) -> str:
        """In a few words, for tables."""
        engine = _NAMES[self.engine] + ("" if self.precision == "fp32" else f" {self.precision}")
        delay = f", delay {self.delay / 1e3:g} ms" if self.delay else ""
        return f"{engine}, {self.instances} x {self.threads}, batch {self.max_batch_size}{delay}"


def setting_of(config: ModelConfig, *, cores: int) -> Setting:
    """What `config` comes to on `cores` cores, by the server's own rule."""
    layout = layout_of(config, SessionPlan(cores=cores, alone_threads=1))
    return Setting(
        instances=layout.slots,
        threads=layout.threads,
        max_batch_size=config.graph_batch_size,
        delay=round(config.max_queue_delay_seconds * _MICROSECONDS) if config.batches else None,
        engine=config.engine,
        precision=config.precision,
    )


def default_instances(threads: int, cores: int) -> int:
    """How many instances the server has if no count is set."""
    return max(1, cores // threads)


def runs(current: Setting, *, cores: int, others: Sequence[tuple[Engine, Precision]]) -> list[Setting]:
    """What can run the graph instead: each way to share the cores, on its engine and on the `others`."""
    engines = [(current.engine, current.precision), *others]
    found = [
        replace(current, instances=instances, threads=threads, engine=engine, precision=precision)
        for instances, threads in shares(cores)
        for engine, precision in dict.fromkeys(engines)
    ]
    return [each for each in dict.fromkeys(found) if each != current]


def shares(cores: int) -> list[tuple[int, int]]:
    """Instances and threads of each: all that fill the cores, by powers of two; and one core left to what decodes."""
    found = []
    threads = 1
    while threads < cores:
        found.append((cores // threads, threads))
        threads *= 2
    found.append((1, cores))
    if cores > 1:
        found.append((cores - 1, 1))
    return list(dict.fromkeys(found))


def batching(best: Setting, *, pays: int, least: int) -> list[Setting]:
    """How `best` may batch otherwise: smaller limits, a larger one if that is what bounds it, and the queue's delay.

    `pays`: the batch size beyond which the server found no gain, so that it goes no further, whatever the limit is.
    `least`: no limit below it, for a sample of `model_warmup` has so many images.
    """
    if best.delay is None:  # without dynamic_batching requests are not batched together
        return []
    return [each for each in dict.fromkeys(_batching(best, pays, least, best.delay)) if each != best]


def _batching(best: Setting, pays: int, least: int, delay: int) -> Iterator[Setting]:
    for size in (pays // 2, pays // 4):
        if size >= max(1, least):
            yield replace(best, max_batch_size=size)
    if pays >= best.max_batch_size:
        yield replace(best, max_batch_size=2 * best.max_batch_size)
    if best.max_batch_size > 1:
        yield replace(best, delay=0 if delay else _DELAY)
