"""The process that puts servers under load and does nothing else, so that nothing makes it late."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from topfive_loadgen.aside import Aside
from topfive_loadgen.plan import Request
from topfive_pipeline.under_load.load import Capacity, Probe, closed, opened, sparse


class Generator:
    """The process, from construction to the end of the `with` block; it puts one server at a time under load."""

    def __init__(self) -> None:
        self._aside = Aside()

    def __enter__(self) -> Self:
        self._aside.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._aside.__exit__(kind, error, trace)

    def closed(
        self, url: str, requests: Sequence[Request], *, connections: int, seconds: float, goes_on: bool = False
    ) -> Capacity:
        """As `load.closed`; raises `OSError` if the server ends or hangs, or closes a connection and none `goes_on`."""
        return self._aside.run(
            closed, url=url, requests=requests, connections=connections, seconds=seconds, goes_on=goes_on
        )

    def opened(self, url: str, requests: Sequence[Request], *, rate: float, seconds: float, seed: int) -> Probe:
        """As `load.opened`."""
        return self._aside.run(opened, url=url, requests=requests, rate=rate, seconds=seconds, seed=seed)

    def sparse(self, url: str, requests: Sequence[Request], *, rate: float, seconds: float, seed: int) -> Probe:
        """As `load.sparse`."""
        return self._aside.run(sparse, url=url, requests=requests, rate=rate, seconds=seconds, seed=seed)
