"""Traffic as it was: the arrivals in an access log, of topfive's own or of a proxy.

Three kinds of lines are read: topfive's (JSON), nginx' with the format `topfive` of `deploy/nginx.conf` (JSON), and the
combined format of nginx and Apache. Other lines, other routes and what is no inference are left out, and counted.
"""

from __future__ import annotations

import json
import math
import random
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.planning.costs import KindCosts
from topfive_pipeline.planning.simulation import Arrival

MOST: Final = 30_000
"""Requests that are simulated: of a longer log the busiest stretch of so many."""
_MOST_LINES: Final = 5_000_000
_LONGEST_LINE: Final = 1 << 16
_COMBINED: Final = re.compile(r'\[(?P<time>[^\]]{1,40})\] "(?P<request>[^"]{1,4096})" (?P<status>\d{3}) ')
_TIME: Final = "%d/%b/%Y:%H:%M:%S %z"
_INFERENCE: Final = re.compile(r"/v1/classify\b|/v2/models/[^/ ]+(/versions/\d+)?/infer\b|ModelInfer|/v2/models/\{")


@dataclass(frozen=True, slots=True)
class Request:
    """One line: its second (Unix time), the bytes of its body, 0 if the log does not tell them; how many images."""

    seconds: float
    nbytes: int = 0
    images: int = 1
    is_exact: bool = True


@dataclass(frozen=True, slots=True)
class Trace:
    """The requests of a log, ascending, from second 0 on; `skipped` lines were no inference."""

    requests: Sequence[Request]
    skipped: int = 0

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return self.requests[-1].seconds

    @property
    def rate(self) -> float:
        """Images a second, on average."""
        return sum(request.images for request in self.requests) / max(self.seconds, 1e-9)

    def arrivals(self, kinds: Sequence[KindCosts], *, times: float = 1.0, seed: int = 0) -> Iterator[Arrival]:
        """The same arrivals, `times` as fast; each image is of the kind whose body is nearest in size.

        Where the log does not tell sizes, kinds are drawn by their shares. Whole seconds are spread over themselves.
        """
        chance = random.Random(f"trace {seed}")  # noqa: S311  # of a simulation
        by_size = sorted(kinds, key=lambda kind: kind.nbytes)
        sizes = [math.log(kind.nbytes) for kind in by_size]
        found: list[Arrival] = []
        for request in self.requests:
            due = (request.seconds + (0.0 if request.is_exact else chance.random())) / times
            for _ in range(request.images):
                if request.nbytes:
                    kind = by_size[_nearest(sizes, math.log(request.nbytes / request.images))]
                else:
                    kind = chance.choices(kinds, [kind.share for kind in kinds])[0]
                found.append((due, kind))
        found.sort(key=lambda arrival: arrival[0])
        return iter(found)


def read(path: Path, *, most: int = MOST) -> Trace:
    """The trace in the file at `path`, at most `most` requests of it; raises `ConfigurationError`."""
    try:
        with path.open(encoding="utf-8", errors="replace") as lines:
            found = list(_found(lines))
    except OSError as error:
        raise ConfigurationError(f"--trace {path}: cannot be read ({error.strerror or error})") from error
    requests = sorted((request for request in found if request is not None), key=lambda request: request.seconds)
    if len(requests) < _FEWEST:
        raise ConfigurationError(
            f"--trace {path}: {len(requests)} of {len(found)} lines are inference requests, too few to plan by; give "
            "topfive's log in JSON (--log-format json), nginx' in the format `topfive` of deploy/nginx.conf, or the "
            "combined format"
        )
    return Trace(_busiest(requests, most), skipped=len(found) - len(requests))


_FEWEST: Final = 100


def _busiest(requests: Sequence[Request], most: int) -> list[Request]:
    """The `most` requests in a row that came in the shortest time, from second 0 on."""
    first = 0
    if len(requests) > most:
        spans = [requests[at + most - 1].seconds - requests[at].seconds for at in range(len(requests) - most + 1)]
        first = spans.index(min(spans))
    begin = requests[first].seconds
    return [
        Request(each.seconds - begin, each.nbytes, each.images, each.is_exact)
        for each in requests[first : first + most]
    ]


def _found(lines: Iterable[str]) -> Iterator[Request | None]:
    for number, line in enumerate(lines, start=1):
        if number > _MOST_LINES:
            return
        yield _request(line) if len(line) <= _LONGEST_LINE else None


def _request(line: str) -> Request | None:
    try:
        return _of_json(json.loads(line)) if line.startswith("{") else _of_combined(line)
    except (ValueError, TypeError, KeyError):
        return None


def _of_json(entry: dict[str, Any]) -> Request | None:
    if not _INFERENCE.search(str(entry.get("route") or entry.get("request") or "")):
        return None
    ended = datetime.fromisoformat(entry["time"])
    seconds = ended.timestamp() - float(entry.get("total_seconds", 0.0))
    is_exact = bool(ended.microsecond)
    return Request(seconds, int(entry.get("body_bytes", 0)), max(1, int(entry.get("images", 1))), is_exact)


def _of_combined(line: str) -> Request | None:
    said = _COMBINED.search(line)
    if said is None or not _INFERENCE.search(said["request"]):
        return None
    when = datetime.strptime(said["time"], _TIME)  # noqa: DTZ007  # it ends with the zone, %z
    return Request(when.timestamp(), is_exact=False)


def _nearest(sizes: Sequence[float], size: float) -> int:
    at = bisect_left(sizes, size)
    around = [place for place in (at - 1, at) if 0 <= place < len(sizes)]
    return min(around, key=lambda place: abs(sizes[place] - size))
