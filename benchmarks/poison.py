"""What one poisonous image costs the others: `python -m benchmarks poison`.

A model that raises on some images, batches of several clients' images, one request in a hundred with such an image:
that one must be answered 500 and every other one must be right.
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
from loadgen import verdict
from loadgen.closed_loop import Exchange, drive
from loadgen.metrics import Difference
from loadgen.verdict import Check
from tests.testkit.tiny_models import HIGHEST_VALUE

DELAY_MICROSECONDS = 5000
REQUESTS = 1000
SHARE = 0.01
LEAST_BATCH = 2.0  # mean size below which the run does not show what it is to show
WARM_SECONDS = 0.3
FAILED = 500


def values(count: int, *, share: float, seed: int) -> list[int]:
    """The brightness of each image sent: any that the model can label, and at random places the poison."""
    chance = random.Random(seed)
    sent = [chance.randrange(HIGHEST_VALUE + 1) for _ in range(count)]
    for place in chance.sample(range(count), round(share * count)):
        sent[place] = repositories.POISON
    return sent


def judge(sent: Sequence[int], exchanges: Sequence[Exchange]) -> tuple[list[Check], dict[str, int]]:
    """Whether each poisonous image, and it alone, was answered 500; and how many of either kind had which answer."""
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
    share: Annotated[float, Option(help="of the requests, how many are poisonous")] = SHARE,
    seed: o.Seed = 1,
    service_flag: o.Flags = [],  # noqa: B006  # typer reads it
    json: o.Json = None,
) -> int:
    """What one poisonous image costs the others in its batch: it alone must be answered 500, every other one right."""
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
