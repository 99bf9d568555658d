"""Reads a server's Prometheus metrics, and sums samples. Pure. `loadtests.server_metrics` knows their meaning.

Triton's counters have no `_total` at the end of their names. The parser adds it; either name finds them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """All samples at one time (`time.monotonic`): values by name and sorted labels."""

    at: float
    values: Mapping[tuple[str, Labels], float]

    def sum(self, name: str, **labels: str) -> float | None:
        """The sum of all samples of `name` that carry `labels`; None if there is none."""
        names, wanted = (name, f"{name}_total"), labels.items()
        found = [value for (key, had), value in self.values.items() if key in names and wanted <= dict(had).items()]
        return sum(found) if found else None

    def labelled(self, name: str, label: str) -> list[str]:
        """The values of `label` in the samples of `name`, in their order."""
        names = (name, f"{name}_total")
        return list(dict.fromkeys(dict(had)[label] for key, had in self.values if key in names and label in dict(had)))


@dataclass(frozen=True, slots=True)
class Difference:
    """The difference between two readings of one server."""

    first: Reading
    last: Reading

    def grown(self, name: str, **labels: str) -> float:
        """The growth of the sum of all samples of `name` that carry `labels`."""
        return (self.last.sum(name, **labels) or 0.0) - (self.first.sum(name, **labels) or 0.0)

    def ratio(self, of: str, to: str, **labels: str) -> float | None:
        """The growth of `of` divided by the growth of `to`; None if `to` did not grow."""
        many = self.grown(to, **labels)
        return self.grown(of, **labels) / many if many else None

    def mean(self, histogram: str, **labels: str) -> float | None:
        """The mean of a histogram's observations between the two readings; None if there were none."""
        return self.ratio(f"{histogram}_sum", f"{histogram}_count", **labels)


def parse(text: str, *, at: float = 0.0) -> Reading:
    """Parse Prometheus' text format; raises `ValueError` if it is malformed."""
    return Reading(
        at,
        {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        },
    )
