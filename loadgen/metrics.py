"""What a server exposes for Prometheus: read once, then asked for sums. Pure.

What lives here: the reading, and sums over samples. What they mean is for those that ask: `loadtests.server_metrics`.
A counter without `_total` at its end, as Triton names them, gets one from the parser: either name finds it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read at a time (`time.monotonic`): values by name and sorted labels."""

    at: float
    values: Mapping[tuple[str, Labels], float]

    def sum(self, name: str, **labels: str) -> float | None:
        """Of all samples of `name` that carry `labels`; None if there is none."""
        names, wanted = (name, f"{name}_total"), labels.items()
        found = [value for (key, had), value in self.values.items() if key in names and wanted <= dict(had).items()]
        return sum(found) if found else None

    def labelled(self, name: str, label: str) -> list[str]:
        """The values that `label` has in the samples of `name`, in their order."""
        names = (name, f"{name}_total")
        return list(dict.fromkeys(dict(had)[label] for key, had in self.values if key in names and label in dict(had)))


@dataclass(frozen=True, slots=True)
class Difference:
    """Between two readings of one server."""

    first: Reading
    last: Reading

    def grown(self, name: str, **labels: str) -> float:
        """By how much the samples of `name` that carry `labels` grew in all."""
        return (self.last.sum(name, **labels) or 0.0) - (self.first.sum(name, **labels) or 0.0)

    def ratio(self, of: str, to: str, **labels: str) -> float | None:
        """How much one grew for each that the other grew; None if that one did not."""
        many = self.grown(to, **labels)
        return self.grown(of, **labels) / many if many else None

    def mean(self, histogram: str, **labels: str) -> float | None:
        """Of what a histogram observed between the two; None if it observed nothing."""
        return self.ratio(f"{histogram}_sum", f"{histogram}_count", **labels)


def parse(text: str, *, at: float = 0.0) -> Reading:
    """Prometheus' text; raises `ValueError` for what is none."""
    return Reading(
        at,
        {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        },
    )
