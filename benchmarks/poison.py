"""Checks that a poisonous image harms only its own request: `python -m benchmarks poison`.

A model raises on some images, and batches hold images of several clients. One request in a hundred has a poisonous
image: it must be answered 500, and all other requests must be right.
"""

import random
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Annotated

from typer import Option

from benchmarks import answers, report, repositories, workloads
from benchmarks import options as o
from benchmarks.server import Service
from tests.testkit.tiny_models import HIGHEST_VALUE
from topfive_loadgen import verdict
from topfive_loadgen.closed_loop import Exchange, drive
from topfive_loadgen.metrics import Difference
from topfive_loadgen.verdict import Check

DELAY_MICROSECONDS = 5000
REQUESTS = 1000
SHARE = 0.01
LEAST_BATCH = 2.0  # the least mean size; with smaller batches the run shows nothing
WARM_SECONDS = 0.3
FAILED = 500


def values(count: int, *, share: float, seed: int) -> list[int]:
    """The brightness of each image sent: values that the model can label, and poison at random places."""
    chance = random.Random(seed)
    sent = [chance.randrange(HIGHEST_VALUE + 1) for _ in range(count)]
    for place in chance.sample(range(count), round(share * count)):
        sent[place] = repositories.POISON
    return sent


def judge(sent: Sequence[int], exchanges: Sequence[Exchange]) -> tuple[list[Check], dict[str, int]]:
    """Check that exactly the poisonous images were answered 500; and count the answers of both kinds."""
    counts: Counter[str] = Counter()
    harmed, spared = [], []
    for one in exchanges:
        value, status = sent[one.request], one.response.status
        poisonous = value == repositories.POISON
        counts[f"{'poisonous' if poisonous else 'good'} {status}"] += 1
        if poisonous and status != FAILED:
            spared.append(f"status {status}")
        elif not poisonous and (status != answers.OK or answers.top_index(one.response) != value):
            harmed.append(f"value {value}: status {status}, {one.response.body[:80].decode(errors='replace')}")
    checks = [
        verdict.none_of("good images not answered right", harmed),
        verdict.none_of("poisonous images not answered 500", spared),
        verdict.at_least("poisonous images sent", counts[f"poisonous {FAILED}"], 1),
    ]
    return checks, dict(sorted(counts.items()))


def main(
    *,
    seconds: Annotated[float, Option(min=0.01, help="how long requests are sent")] = 5.0,
    connections: o.Connections = 32,
    share: Annotated[float, Option(help="share of the requests that are poisonous")] = SHARE,
    seed: o.Seed = 1,
    service_flag: o.Flags = o.NONE_GIVEN,
    json: o.Json = None,
) -> int:
    """Check that a poisonous image harms no other image in its batch: it gets 500, all others the right answer."""
    sent = values(REQUESTS, share=share, seed=seed)
    model = repositories.POISONOUS
    requests = [workloads.request(repositories.image(value), model=model) for value in sent]
    with tempfile.TemporaryDirectory(prefix="topfive-poison-") as folder:
        repositories.write_poisonous(Path(folder), delay_microseconds=DELAY_MICROSECONDS)
        with closing(Service(Path(folder), *service_flag)) as service:
            before = service.metrics()
            load = drive(
                service.http_url,
                requests,
                connections=connections,
                warm_seconds=WARM_SECONDS,
                window_seconds=seconds,
            )
            batch = Difference(before, service.metrics()).mean("topfive_batch_size") or 0.0
            failures = service.metric("topfive_batch_failures_total")
    checks, counts = judge(sent, load.exchanges)
    shown = [
        f"{len(load.exchanges)} requests, {load.requests_per_second:.0f}/s over {connections} connections",
        f"mean batch {batch:.2f}, {failures:.0f} batches failed",
        ", ".join(f"{name}: {count}" for name, count in counts.items()),
    ]
    faults = [f"batches had {batch:.2f} images in the mean: too few together"] if batch < LEAST_BATCH else []
    document = {"counts": counts, "mean_batch": batch, "batch_failures": failures}
    return report.finish(checks, faults, shown=["\n".join(shown)], json=json, document=document)
