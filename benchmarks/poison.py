"""What one poisonous image costs the others: `python -m benchmarks.poison`.

A model that raises on some images, batches of several clients' images, one request in a hundred with such an image:
that one must be answered 500 and every other one must be right.
"""

import argparse
import json
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

from benchmarks import answers, repositories, verdict, workloads
from benchmarks.client import Exchange, drive
from benchmarks.server import Service, means
from benchmarks.verdict import Check
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


def main(arguments: Sequence[str] | None = None) -> int:
    """The command: 1 if a good image was harmed, or the run shows nothing."""
    options = _parser().parse_args(arguments)
    sent = values(REQUESTS, share=options.share, seed=options.seed)
    model = repositories.POISONOUS
    requests = [workloads.request(repositories.image(value), model=model) for value in sent]
    with tempfile.TemporaryDirectory(prefix="topfive-poison-") as folder:
        repositories.write_poisonous(Path(folder), delay_microseconds=DELAY_MICROSECONDS)
        with closing(Service(Path(folder), *options.service_flag)) as service:
            before = service.metrics()
            load = drive(
                service.port,
                requests,
                connections=options.connections,
                warm_seconds=WARM_SECONDS,
                window_seconds=options.seconds,
                meters=[],
            )
            batch = means(before, service.metrics())["topfive_batch_size"]
            failures = service.metric("topfive_batch_failures_total")
    checks, counts = judge(sent, load.exchanges)
    faults = [f"batches had {batch:.2f} images in the mean: too few together"] if batch < LEAST_BATCH else []
    print(f"{len(load.exchanges)} requests, {load.requests_per_second:.0f}/s over {options.connections} connections")
    print(f"mean batch {batch:.2f}, {failures:.0f} batches failed")
    print(", ".join(f"{name}: {count}" for name, count in counts.items()), end="\n\n")
    print(verdict.markdown(checks), verdict.conclude(checks, faults), sep="\n\n")
    if options.json:
        document = {"counts": counts, "mean_batch": batch, "batch_failures": failures, "checks": checks}
        options.json.write_text(json.dumps({**document, "faults": faults}, default=asdict, indent=1) + "\n")
    return verdict.exit_code(checks, faults)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="benchmarks.poison", description=__doc__.partition(":")[0])
    add = parser.add_argument
    add("--seconds", type=float, default=5.0)
    add("--connections", type=int, default=32, metavar="N")
    add("--share", type=float, default=SHARE, help="of the requests, how many are poisonous")
    add("--seed", type=int, default=1)
    add("--service-flag", action="append", default=[], metavar="FLAG", help="passed on: --service-flag=--workers=2")
    add("--json", type=Path, metavar="FILE", help="write the counts and the checks")
    return parser


if __name__ == "__main__":
    sys.exit(main())
