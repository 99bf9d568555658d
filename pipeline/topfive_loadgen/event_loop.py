"""An event loop that wakes up on time: asyncio's own, with a selector whose timeout is in microseconds.

asyncio uses epoll on Linux. Its timeout is in milliseconds, as are uvloop's timers: requests would go out up to 1 ms
late. select's timeout is in microseconds, but select scans all its files each time and knows none above 1023. So here
select waits for a single file, the epoll itself, and the epoll then says what is ready.
Measured: docs/decisions/0019-one-measuring-kernel.md.
"""

from __future__ import annotations

import asyncio
import select
import selectors
import sys

if sys.platform == "linux":

    class _PunctualSelector(selectors.EpollSelector):
        """An epoll selector that waits in select."""

        def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
            if timeout is None or timeout > 0:
                select.select([self.fileno()], [], [], timeout)
            return super().select(0)

else:
    _PunctualSelector = selectors.DefaultSelector  # kqueue's timeout is in nanoseconds


def punctual() -> asyncio.AbstractEventLoop:
    """A new event loop, for `asyncio.Runner(loop_factory=punctual)`."""
    return asyncio.SelectorEventLoop(_PunctualSelector())
