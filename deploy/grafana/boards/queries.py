"""Building blocks of PromQL queries on the service's metrics."""

from typing import Final

RATE: Final = "[$__rate_interval]"
"""Grafana's variable: at least four scrapes, and at least the time between two points of the graph."""

WHERE: Final = 'service=~"$service", instance=~"$instance"'
PROCESS: Final = f'job="topfive", {WHERE}'
MODEL: Final = f'{WHERE}, model=~"$model"'
REQUEST: Final = f'{MODEL}, route=~"$route"'


def per_second(selection: str, *, by: str = "") -> str:
    """The sum of the rates of the counters that `selection` finds."""
    return f"sum{f' by ({by})' if by else ''} (rate({selection}{RATE}))"


def requests(code: str = "", *, by: str = "") -> str:
    """Requests per second, with the status codes that the matcher `code` selects."""
    return per_second(f"topfive_request_duration_seconds_count{{{REQUEST}{code}}}", by=by)


def share(part: str, whole: str) -> str:
    """`part` / `whole`: 0 if `part` has no series, no value if `whole` has none."""
    return f"({part} or 0 * {whole}) / ({whole} > 0)"


def quantile(number: float, buckets: str, *, by: str = "") -> str:
    """A quantile of a histogram, as precise as its buckets allow."""
    return f"histogram_quantile({number}, {per_second(buckets, by=f'{by}, le' if by else 'le')})"


def mean(histogram: str, labels: str, *, by: str = "") -> str:
    """The mean of a histogram's observations."""
    total, count = (per_second(f"{histogram}_{part}{{{labels}}}", by=by) for part in ("sum", "count"))
    return f"{total} / ({count} > 0)"
