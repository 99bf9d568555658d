"""Load in which images come again by Zipf's law, or never: for `caching`. Runs in the generator's process."""

from dataclasses import dataclass
from functools import cache
from itertools import cycle, islice
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks import workloads, zipf
from benchmarks.load_figures import OK
from topfive_loadgen import closed_loop, open_loop
from topfive_loadgen.http1 import Response
from topfive_loadgen.plan import LAG_LIMIT_OF_COUNTS_SECONDS, OpenLoad

DISTINCT: Final = 1000
CONNECTIONS: Final = 16


@dataclass(frozen=True, slots=True)
class Mix:
    """What is sent: `distinct` images, chosen by Zipf's law with the exponent; None: one after the other, in turns.

    `kind`: JPEG or RAW224, or "small" for raw images of 8 x 8, which only a null backend should get.
    """

    kind: str
    exponent: float | None
    folder: Path | None
    seed: int
    distinct: int = DISTINCT
    length: int = 4000

    def requests(self) -> list[bytes]:
        """The requests, in the order of sending."""
        if self.exponent is None:  # none of which is in any other mix
            return _images(self.kind, self.folder, self.distinct, first=self.distinct)
        images = _images(self.kind, self.folder, self.distinct)
        popularity = zipf.shares(self.distinct, self.exponent)
        return [images[at] for at in zipf.draws(popularity, self.length, seed=self.seed)]


@cache
def _images(kind: str, folder: Path | None, count: int, *, first: int = 0) -> list[bytes]:
    """So many different requests; photos are told apart by a comment, or by their first pixel."""
    if kind == "small":
        noise = np.random.default_rng(1).integers(0, 256, (count, 8, 8, 3), np.uint8)
        return [workloads.request(pixels) for pixels in noise]
    photos = list(islice(cycle(workloads.load(folder)[kind]), count))
    return [workloads.request(_numbered(photo, number)) for number, photo in enumerate(photos, first)]


def _numbered(photo: workloads.Payload, number: int) -> workloads.Payload:
    """The same photo with other bytes."""
    if isinstance(photo, bytes):
        return photo[:2] + b"\xff\xfe\x00\x06" + number.to_bytes(4, "big") + photo[2:]
    changed = photo.copy()
    changed[0, 0] = np.frombuffer(number.to_bytes(3, "big"), np.uint8)
    return changed


def is_hit(response: Response) -> bool:
    """Whether an answer says that it came from the cache."""
    return "cache;desc=hit" in (response.header("server-timing") or "")


def closed(
    url: str, mix: Mix, *, warm_seconds: float, seconds: float, stop: Connection, connections: int = CONNECTIONS
) -> tuple[float, float, int]:
    """Answers per second of a few connections, the share of hits, and how many answers were not good."""
    load = closed_loop.drive(
        url, mix.requests(), connections=connections, warm_seconds=warm_seconds, window_seconds=seconds
    )
    responses = [each.response for each in load.exchanges]
    hits = sum(map(is_hit, responses))
    return load.requests_per_second, hits / len(responses), sum(each.status != OK for each in responses)


def opened(
    url: str, mix: Mix, *, rate: float, seconds: float, stop: Connection
) -> tuple[list[float], float, list[str]]:
    """Latencies in ms of arrivals at a fixed rate, the share of hits, and what went wrong."""
    plan = OpenLoad(url=url, requests=mix.requests(), rate=rate, seconds=seconds, seed=mix.seed, read=is_hit)
    done = open_loop.drive(plan, stop=stop)
    good = [each for each in done.samples if each.status == OK]
    lost = [f"status {each.status} {each.reason}" for each in done.samples if each.status != OK]
    faults = [*done.faults(lag_limit_seconds=LAG_LIMIT_OF_COUNTS_SECONDS), *lost]
    return [each.latency * 1e3 for each in good], sum(bool(each.seen) for each in good) / len(good), faults
