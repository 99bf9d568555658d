"""Prometheus' rules compute the population stability index that its definition gives, from what /metrics tells."""

from __future__ import annotations

import random
from collections.abc import Mapping
from math import log
from pathlib import Path
from typing import Any, Final

import yaml

from tests.testkit.baselines import BASE
from tests.testkit.prometheus import RULES, needs_prometheus, promtool
from topfive.ground.drift import CONFIDENCE, FORMATS, LABELS, MEGAPIXELS, bounds_of

HERE: Final = 'service="service", instance="10.0.0.2:8000", model="m"'
OTHER: Final = HERE.replace("0.2:", "0.3:")
"""A second replica, which answers as many."""
MINUTES: Final = 90
HISTOGRAMS: Final = {CONFIDENCE: "topfive_confidence", MEGAPIXELS: "topfive_image_megapixels"}
COUNTERS: Final = {LABELS: ("topfive_labels_total", "label"), FORMATS: ("topfive_image_formats_total", "format")}


def index(now: Mapping[str, int], before: Mapping[str, int]) -> float:
    """The index of an hour's images against the baseline's: half an image more in each bucket, less chance's part."""
    n, m, buckets = sum(now.values()), sum(before.values()), len(before)
    total = 0.0
    for bucket, count in before.items():
        p = (now[bucket] + 0.5) / (n + 0.5 * buckets)
        q = (count + 0.5) / (m + 0.5 * buckets)
        total += (p - q) * log(p / q)
    return max(0.0, total - (buckets - 1) * (1 / n + 1 / m))


def series(where: str, each_minute: Mapping[str, Mapping[str, int]]) -> dict[str, str]:
    """The series of one replica that answers so many images each minute, in promtool's notation."""
    found = {}
    for signal, counts in BASE.counts.items():
        bounds = bounds_of(signal)
        below = dict(zip(bounds, ("", *bounds), strict=False))
        for bucket, count in counts.items():
            labels = f'signal="{signal}", bucket="{bucket}", below="{below.get(bucket, "")}"'
            share = count / BASE.images(signal)
            found[f'topfive_baseline_share{{job="topfive", {where}, {labels}}}'] = f"{share!r}x{MINUTES}"
        images = f'topfive_baseline_images{{job="topfive", {where}, signal="{signal}"}}'
        found[images] = f"{BASE.images(signal)}x{MINUTES}"
    for signal, name in HISTOGRAMS.items():
        up_to = 0
        for bound in bounds_of(signal):
            up_to += each_minute[signal][bound]
            found[f'{name}_bucket{{{where}, le="{bound}"}}'] = f"0+{up_to}x{MINUTES}"
    for signal, (name, label) in COUNTERS.items():
        for bucket, count in each_minute[signal].items():
            found[f'{name}{{{where}, {label}="{bucket}"}}'] = f"0+{count}x{MINUTES}"
    return found


def case(name: str, given: Mapping[str, str], expected: Mapping[str, float]) -> dict[str, Any]:
    """A test as promtool takes it: the indices are these, up to rounding, and there are no others."""
    return {
        "name": name,
        "interval": "1m",
        "input_series": [{"series": key, "values": values} for key, values in given.items()],
        "promql_expr_test": [
            *(
                {
                    "expr": f'abs(topfive:psi:1h{{signal="{signal}"}} - {value!r}) < bool 1e-9',
                    "eval_time": f"{MINUTES}m",
                    "exp_samples": [
                        {"labels": f'{{service="service", model="m", signal="{signal}"}}', "value": 1},
                    ],
                }
                for signal, value in expected.items()
            ),
            {
                "expr": "count(topfive:psi:1h) or vector(0)",
                "eval_time": f"{MINUTES}m",
                "exp_samples": [{"labels": "{}", "value": len(expected)}],
            },
        ],
    }


@needs_prometheus
def test_the_index_is_the_one_that_its_definition_gives(tmp_path: Path) -> None:
    """Of two replicas together; and there is none without a baseline, or without an image."""
    chance = random.Random(0)
    cases = []
    for spread in (3, 30):
        minute = {
            signal: {bucket: chance.randrange(spread) + (count > 90) for bucket, count in counts.items()}
            for signal, counts in BASE.counts.items()
        }
        hour = {signal: {bucket: 2 * 60 * count for bucket, count in minute[signal].items()} for signal in minute}
        wanted = {signal: index(hour[signal], BASE.counts[signal]) for signal in hour}
        cases.append(case(f"up to {spread}", {**series(HERE, minute), **series(OTHER, minute)}, wanted))
        assert max(wanted.values()) > 0.25
    same = {signal: dict(counts) for signal, counts in BASE.counts.items()}
    cases.append(case("the baseline itself", series(HERE, same), dict.fromkeys(same, 0.0)))
    without = {key: values for key, values in series(HERE, same).items() if "baseline" not in key}
    cases.append(case("no baseline", without, {}))
    nothing = {signal: dict.fromkeys(counts, 0) for signal, counts in same.items()}
    cases.append(case("no image", series(HERE, nothing), {}))
    (rules,) = [path for path in RULES if path.stem == "drift"]
    file = tmp_path / "tests.yml"
    file.write_text(
        yaml.safe_dump({"rule_files": [str(rules)], "evaluation_interval": "1m", "tests": cases}, width=1000),
        encoding="utf-8",
    )
    promtool("test", "rules", file)
