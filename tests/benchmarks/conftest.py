"""What the tests of benchmarks share: services that start warm."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from typing import IO

import pytest

from benchmarks import server
from benchmarks.server import Process
from tests.testkit.warm_start import WarmProcess

COLD = {"test_chaos.py", "test_overhead.py", "test_soak.py"}
"""Those that start services as a person's benchmark does, and look at the memory of whole processes."""


@pytest.fixture(autouse=True, scope="module")
def warm(request: pytest.FixtureRequest) -> Iterator[None]:
    """Services are forks that have imported all, but those in networks of their own: the same code, a second sooner."""
    begin = server.start

    def start(options: Sequence[str], inside: Sequence[str], log: IO[bytes]) -> Process:
        if inside:
            return begin(options, inside, log)
        return WarmProcess(options, os.environ, output=log.fileno())

    with pytest.MonkeyPatch.context() as patch:
        if sys.platform == "linux" and request.path.name not in COLD:
            patch.setattr(server, "start", start)
        yield
