"""The row of the service's dashboard on its objectives: what is kept, how fast the error budget goes, what is left."""

from collections.abc import Sequence
from typing import Final

from deploy.grafana.boards import panels as p
from deploy.grafana.boards.layout import PanelRow, Row
from deploy.grafana.boards.panels import Panel, Query, lines, stat

_WINDOWS: Final[Sequence[str]] = ("5m", "30m", "1h", "6h")


def kept() -> Row:
    """The row on availability and latency, each against its objective."""
    stats = [
        _kept(
            "Answered",
            "availability",
            "Share of the requests of the last five minutes that were answered, of those that the service should "
            "answer: all but what is the client's own fault. 429, 503, 504 and 500 are no answers.",
        ),
        _kept(
            "In time",
            "latency",
            "Share of the answers of the last five minutes that came within the objective of latency.",
        ),
        _left("availability", "may be refused or fail"),
        _left("latency", "may be later than the objective"),
    ]
    below = [
        _burning("availability", "a request is refused or fails"),
        _burning("latency", "an answer is later than the objective"),
        lines(
            "Error budget",
            "What is left of it over time; -100 % is spent twice, or more. It falls while more is missed than may be, "
            "and rises as old misses are forgotten.",
            Query(_budget('service=~"$service"'), "{{service}} {{objective}}"),
            unit="percentunit",
            steps=((p.RED, None), (p.ORANGE, 0), (p.GREEN, 0.25)),
            values=False,
        ),
    ]
    return Row("Are the objectives kept?", [PanelRow(stats, height=4), PanelRow(below)])


def _kept(title: str, objective: str, description: str) -> Panel:
    """What is not missed; by the burn rate, so that rules/objective.yml alone says what counts as missed."""
    burning = f'topfive:burn_rate:5m{{service=~"$service", objective="{objective}"}}'
    return stat(
        title,
        f"{description} Of the service that keeps it worst.",
        Query(f"min(1 - {burning} * on (objective) group_left () (1 - topfive:objective:share))"),
        unit="percentunit",
        steps=p.NEUTRAL,
        empty="no requests",
    )


def _budget(labels: str) -> str:
    return f"clamp_min(topfive:error_budget_left:30d{{{labels}}}, -1)"


def _left(objective: str, missed: str) -> Panel:
    of_it = _budget(f'service=~"$service", objective="{objective}"')
    return stat(
        f"Budget of {objective}",
        f"What is left of the requests that {missed} in 30 days, or in as many as Prometheus keeps. Below 0 % the "
        "objective is missed; -100 % is spent twice, or more. Of the service that has least left.",
        Query(f"min({of_it})"),
        unit="percentunit",
        steps=((p.RED, None), (p.ORANGE, 0), (p.GREEN, 0.25)),
        empty="no requests",
    )


def _burning(objective: str, missed: str) -> Panel:
    return lines(
        f"Burn rate of {objective}",
        f"How many times as often as allowed {missed}. 1 spends the error budget of 30 days in 30 days. The critical "
        "alert fires if both windows of a pair are above their bound: 1h and 5m above 14.4, 6h and 30m above 6.",
        *(
            Query(
                f'topfive:burn_rate:{window}{{service=~"$service", objective="{objective}"}}',
                f"{{{{service}}}} {window}",
            )
            for window in _WINDOWS
        ),
        unit="none",
        steps=((p.GREEN, None), (p.ORANGE, 1), (p.RED, 14.4)),
        values=False,
    )
