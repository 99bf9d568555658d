"""What a tenant may spend, in images: a rate, as a token bucket, and a quota for each hour, day or month in UTC.

What lives here: the arithmetic, as pure functions of the time and of what was spent. What does not: where that is kept
(`access.accounts`), and who spends (`access.tenants`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Final, Literal

from topfive.ground.errors import QuotaExceeded, RateLimited, TooLarge

Window = Literal["hour", "day", "month"]
MAX_WEIGHT: Final = 100
_ROUNDING: Final = 1e-6
"""Images that a bucket may lack through rounding; without it a client that waits as long as told might be refused."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the file of keys says of a tenant.

    `rate`: images a second, in the long run; `burst`: images at once, 0 for those of one second. `quota`: images in
    each `window`. None means no limit. `weight`: its share under overload, beside others' weights. `priority`: the best
    level that its requests may have, and the one of requests that ask for none; 0 leaves it to requests and models.
    """

    rate: float | None = None
    burst: int = 0
    quota: int | None = None
    window: Window = "day"
    weight: int = 1
    priority: int = 0

    @property
    def bounded(self) -> bool:
        """Whether there is anything to count."""
        return self.rate is not None or self.quota is not None

    @property
    def size(self) -> int:
        """How many images the bucket holds."""
        return self.burst or max(1, ceil(self.rate or 1))


@dataclass(frozen=True, slots=True)
class Spent:
    """What a tenant has spent: its bucket held `tokens` at monotonic second `at`; `used` images count in a window.

    `window`: the Unix second at which that window began. The first of all is a full bucket and an unused quota.
    """

    tokens: float = 0.0
    at: float = float("inf")
    window: int = 0
    used: int = 0


def spend(limits: Limits, spent: Spent, images: int, *, now: float, utc: float) -> Spent:
    """What is spent with `images` more, at the monotonic second `now` and the Unix second `utc`.

    Raises `RateLimited` or `QuotaExceeded`, with the time after which the same request is let in if nothing else is
    spent, and `TooLarge` for a request that never would be.
    """
    tokens, at, window, used = spent.tokens, spent.at, spent.window, spent.used
    if limits.rate is not None:
        tokens, at = _refilled(limits, limits.rate, spent, now), now
        if images > limits.size:
            raise TooLarge(
                f"the request has {images} images, and your key lets in at most {limits.size} at once (burst); send "
                "fewer in a request"
            )
        if (lacking := images - tokens) > _ROUNDING:
            raise RateLimited(
                f"your key lets in {limits.rate:g} images a second, and this request would be more; retry later",
                retry_after_seconds=lacking / limits.rate,
            )
        tokens -= images
    if limits.quota is not None:
        window, used = _current(limits, spent, utc)
        if images > limits.quota:
            raise TooLarge(
                f"the request has {images} images, and the quota of your key is {limits.quota} for each {limits.window}"
            )
        if used + images > limits.quota:
            begins = _end(limits.window, max(window, int(utc)))
            raise QuotaExceeded(
                f"the quota of your key is {limits.quota} images for each {limits.window}, and {limits.quota - used} "
                f"are left; it begins again at {datetime.fromtimestamp(begins, UTC):%Y-%m-%dT%H:%M:%SZ}",
                retry_after_seconds=begins - utc,
            )
        used += images
    return Spent(tokens, at, window, used)


def give_back(limits: Limits, spent: Spent, images: int, *, since: int) -> Spent:
    """What is spent without `images` that were spent while the window that began at `since` was the current one."""
    tokens = min(float(limits.size), spent.tokens + images) if limits.rate is not None else spent.tokens
    used = max(0, spent.used - images) if spent.window == since else spent.used
    return replace(spent, tokens=tokens, used=used)


def used_of(limits: Limits, spent: Spent, utc: float) -> int:
    """The images that count against the quota at the Unix second `utc`."""
    return _current(limits, spent, utc)[1]


def _refilled(limits: Limits, rate: float, spent: Spent, now: float) -> float:
    """The tokens at `now`; the bucket is full at first, and after the machine has started anew."""
    if spent.at > now:
        return float(limits.size)
    return min(float(limits.size), spent.tokens + (now - spent.at) * rate)


def _current(limits: Limits, spent: Spent, utc: float) -> tuple[int, int]:
    """The beginning of the current window, and the images used in it.

    If the clock was set back, what was used still counts: nobody gets a second quota of it.
    """
    begin = _begin(limits.window, utc)
    return (begin, 0) if spent.window < begin else (begin if spent.window > utc else spent.window, spent.used)


def _begin(window: Window, utc: float) -> int:
    moment = datetime.fromtimestamp(utc, UTC).replace(minute=0, second=0, microsecond=0)
    if window != "hour":
        moment = moment.replace(hour=0)
    if window == "month":
        moment = moment.replace(day=1)
    return int(moment.timestamp())


def _end(window: Window, utc: float) -> int:
    """The second at which the window after the one of `utc` begins."""
    longer: dict[Window, timedelta] = {
        "hour": timedelta(hours=1),
        "day": timedelta(days=1),
        "month": timedelta(days=31),
    }
    later = datetime.fromtimestamp(_begin(window, utc), UTC) + longer[window]
    return _begin(window, later.timestamp())
