"""The parts of which the queries to the service's metrics are made."""

from typing import Final

RATE: Final = "[$__rate_interval]"
"""Grafana's own: at least four scrapes, and no less than a point of the graph stands for."""

WHERE: Final = 'service=~"$service", instance=~"$instance"'
PROCESS: Final = f'job="topfive", {WHERE}'
MODEL: Final = f'{WHERE}, model=~"$model"'
REQUEST: Final = f'{MODEL}, route=~"$route"'


def per_second(selection: str, *, by: str = "") -> str:
    """The rate of the counters that `selection` finds, added up."""
    return f"sum{f' by ({by})' if by else ''} (rate({selection}{RATE}))"


def requests(code: str = "", *, by: str = "") -> str:
    """Requests per second, of the status codes that the matcher `code` finds."""
    return per_second(f"topfive_request_duration_seconds_count{{{REQUEST}{code}}}", by=by)


def share(part: str, whole: str) -> str:
    """`part` of `whole`: 0 if there is none of it, nothing if there is nothing at all."""
    return f"({part} or 0 * {whole}) / ({whole} > 0)"


def quantile(number: float, buckets: str, *, by: str = "") -> str:
    """The quantile of a histogram, as far as its buckets tell."""
    return f"histogram_quantile({number}, {per_second(buckets, by=f'{by}, le' if by else 'le')})"


def mean(histogram: str, labels: str, *, by: str = "") -> str:
    """The mean of what a histogram observed."""
    total, count = (per_second(f"{histogram}_{part}{{{labels}}}", by=by) for part in ("sum", "count"))
    return f"{total} / ({count} > 0)"
