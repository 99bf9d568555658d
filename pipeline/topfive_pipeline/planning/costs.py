"""What serving a model costs, as it was measured on one server: the input of the simulation, and its file. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Final

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from topfive.ground.errors import ConfigurationError

_Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Above = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_Count = Annotated[int, Field(ge=1)]
_STRICT: Final = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True, kw_only=True)
class KindCosts:
    """One kind of image, in seconds of one core; `resize_alone_seconds`: on all cores, if nothing else runs.

    `share`: of all requests. `nbytes`: of a request's body. `in_slot`: these are raw pixels, which the slot resizes
    that runs their batch; others are prepared on a thread. `price_seconds`, `is_dear`: what the service expects
    preparing it to take (`topfive.request.preparing.price`).
    """

    name: str
    nbytes: _Count
    decode_seconds: _Seconds = 0.0
    resize_seconds: _Seconds = 0.0
    resize_alone_seconds: _Seconds = 0.0
    in_slot: bool = False
    price_seconds: _Seconds = 0.0
    is_dear: bool = False
    share: _Above = 1.0

    __pydantic_config__ = _STRICT

    def scaled(self, *, decoding: float, resizing: float) -> KindCosts:
        """The same with decoding and resizing so many times as long."""
        return replace(
            self,
            decode_seconds=self.decode_seconds * decoding,
            resize_seconds=self.resize_seconds * resizing,
            resize_alone_seconds=self.resize_alone_seconds * resizing,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """All of one model on a server of one kind, with `cores` cores.

    `slots` batches run side by side, each on `threads` cores, or, `on_device`, on none, but on a GPU.
    `batch_seconds`: by size, of a batch that runs by itself; `spread`: factors by which such runs differed from their
    median, and `spread_beside` those of runs beside others. `alone`: the seconds of the classify graph for an image
    that finds nothing running and gets all cores, one of many runs each; empty if the service has no session for that.
    `misplaced`: how often a thread that is woken has to share a core although another is idle, as kernels place
    threads. `cold_seconds`: what a batch of any size takes longer in the server than by itself, where nothing else
    takes its place in the caches. `loop_seconds`: of the event loop and the kernel, for a request.
    `fixed_seconds`: what passes beyond all these in which no core computes. `client_seconds`: of a core that the load
    generator took meanwhile.
    """

    model: str
    engine: str
    cpu: str
    cores: _Count
    slots: _Count
    threads: _Count = 1
    on_device: bool = False
    kinds: Annotated[tuple[KindCosts, ...], Field(min_length=1)]
    batch_seconds: Annotated[Mapping[int, _Above], Field(min_length=1)]
    batch_size_that_pays: _Count
    graph_batch_size: _Count
    spread: Annotated[tuple[_Above, ...], Field(min_length=1)] = field(default=(1.0,), repr=False)
    spread_beside: Annotated[tuple[_Above, ...], Field(min_length=1)] = field(default=(1.0,), repr=False)
    alone: tuple[_Seconds, ...] = field(default=(), repr=False)
    misplaced: Annotated[float, Field(ge=0, le=1)] = 0.0
    cold_seconds: _Seconds = 0.0
    loop_seconds: _Seconds = 0.0
    fixed_seconds: _Seconds = 0.0
    client_seconds: _Seconds = 0.0
    start_seconds: _Seconds = 5.0
    max_queue_items: _Count = 256
    max_queue_delay_seconds: _Seconds = 0.0

    __pydantic_config__ = _STRICT

    @property
    def core_seconds(self) -> float:
        """What a request takes of the cores, on average, in batches of the size that pays."""
        size = min(self.batch_size_that_pays, max(self.batch_seconds))
        whole = sum(kind.share for kind in self.kinds)
        prepared = sum(kind.share * (kind.decode_seconds + kind.resize_seconds) for kind in self.kinds) / whole
        network = 0.0 if self.on_device else self.threads * (self.batch_seconds[size] + self.cold_seconds) / size
        return network + prepared + self.loop_seconds

    @property
    def nbytes(self) -> float:
        """Bytes of an average request's body."""
        return sum(kind.share * kind.nbytes for kind in self.kinds) / sum(kind.share for kind in self.kinds)

    def scaled(self, factor: float) -> Costs:
        """The same with everything that is computed so many times as long."""
        kinds = tuple(kind.scaled(decoding=factor, resizing=factor) for kind in self.kinds)
        batches = {size: seconds * factor for size, seconds in self.batch_seconds.items()}
        return replace(
            self,
            kinds=kinds,
            batch_seconds=batches,
            cold_seconds=self.cold_seconds * factor,
            alone=tuple(seconds * factor for seconds in self.alone),
        )


def write(costs: Costs, path: Path) -> None:
    """Write `costs` into the file at `path`, as JSON; raises `OSError`."""
    path.write_text(json.dumps(asdict(costs), indent=2) + "\n", encoding="utf-8")


def read(path: Path) -> Costs:
    """The costs in the file at `path`; raises `ConfigurationError` that names the file and the field."""
    try:
        costs = TypeAdapter(Costs).validate_json(path.read_bytes())
    except OSError as error:
        raise ConfigurationError(f"--costs {path}: cannot be read ({error.strerror or error})") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise ConfigurationError(f"--costs {path}: {where}: {first['msg']}; --save-costs writes such a file") from error
    if costs.batch_size_that_pays not in costs.batch_seconds:
        raise ConfigurationError(
            f"--costs {path}: batch_seconds has no time for {costs.batch_size_that_pays}, the batch_size_that_pays"
        )
    return costs
