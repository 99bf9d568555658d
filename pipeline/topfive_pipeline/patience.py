"""Ends a run of a graph that takes too long: a loop without end would otherwise never come back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Timer
from typing import Any, Final

import onnxruntime

from topfive.ground.errors import ConfigurationError

SECONDS: Final = 120.0
"""For one run, of four images at most: no network that is served takes a hundredth of it."""


@contextmanager
def patience(run: Any = None) -> Iterator[Any]:
    """The handle of one run, which is ended after `SECONDS`; then `ConfigurationError` is raised.

    `run`: the handle of another engine; without it ONNX Runtime's options, at which it looks between two operators,
    also those of a loop.
    """
    options = onnxruntime.RunOptions() if run is None else run

    def end() -> None:
        options.terminate = True

    timer = Timer(SECONDS, end)
    timer.daemon = True
    timer.start()
    try:
        yield options
    except Exception as error:
        if options.terminate:
            raise ConfigurationError(
                f"the network takes longer than {SECONDS:.0f} s for a run; does it have a loop without end?"
            ) from error
        raise
    finally:
        timer.cancel()
