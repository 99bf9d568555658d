"""The row of the service's dashboard on versions that are on trial: what the shadow says, how the canary does."""

from collections.abc import Sequence
from typing import Final

from deploy.grafana.boards import panels as p
from deploy.grafana.boards.layout import PanelRow, Row
from deploy.grafana.boards.panels import Panel, Query, lines, stat
from deploy.grafana.boards.queries import MODEL, mean, per_second, quantile

_SHADOW: Final = "service, model, target"
_CANARY: Final = "service, model, version"
_TARGET: Final = "{{service}} {{model}}"
_COMPARED: Final = "topfive_shadow_compared_total"
_QUANTILES: Final[Sequence[tuple[str, float]]] = (("p50", 0.5), ("p90", 0.9))
_DROPPED: Final = "topfive_shadow_dropped_total"
_NO_ROOM: Final = '"full|busy"'
_FAULTS: Final = '"500|503|504"'


def on_trial() -> Row:
    """The row; where nothing is on trial, its panels say so."""
    waiting = f"sum by ({_SHADOW}) (topfive_shadow_waiting{{{MODEL}}})"
    shadow = [
        _agreement(),
        lines(
            "Shadow: change of probability",
            "How far the shadow's probability of the live first label is from the live one: half of the images, and "
            "nine in ten, are below. With it the mean share of the five labels that both list.",
            *(
                Query(
                    quantile(number, f"topfive_shadow_probability_change_bucket{{{MODEL}}}", by=_SHADOW),
                    f"{_TARGET} {name}",
                )
                for name, number in _QUANTILES
            ),
            Query(mean("topfive_shadow_overlap", MODEL, by=_SHADOW), f"{_TARGET} overlap"),
            unit="percentunit",
            most=1,
            values=False,
        ),
        lines(
            "Shadow: time of the same requests",
            "Half of the requests take less in each. A shadow in this process runs on one core and an image at a time, "
            "so compare the times of the canary's arms rather than these.",
            Query(
                quantile(0.5, f"topfive_shadow_duration_seconds_bucket{{{MODEL}}}", by=f"{_SHADOW}, arm"),
                f"{_TARGET} {{{{arm}}}}",
            ),
            unit="s",
            values=False,
        ),
        lines(
            "Shadow: not answered, by reason",
            "Images per second that were chosen and dropped. No room: no place, or no turn in five seconds. Its "
            "own fault: too slow, an error, not served. Live answers are not touched. With it the images that wait.",
            Query(per_second(f"{_DROPPED}{{{MODEL}, reason=~{_NO_ROOM}}}", by="service"), "{{service}} no room"),
            Query(per_second(f"{_DROPPED}{{{MODEL}, reason!~{_NO_ROOM}}}", by="service"), "{{service}} its own fault"),
            Query(waiting, "waiting"),
            Query(f"sum by ({_SHADOW}) (topfive_shadow_waiting_bytes{{{MODEL}}}) / 1e6", "waiting, in MB"),
            unit="none",
            values=False,
        ),
    ]
    canary = [
        stat(
            "Canary",
            "Share of the requests that the canary gets. Off: TopfiveCanaryRolledBack in docs/operations.md.",
            Query(
                f"min by ({_CANARY}) (topfive_canary_share{{{MODEL}}} * (1 - topfive_canary_rolled_back{{{MODEL}}}))",
                "{{model}} {{version}}",
                now=True,
            ),
            unit="percentunit",
            steps=((p.RED, None), (p.GREEN, 0.0001)),
            empty="no canary",
            zero="off",
        ),
        lines(
            "Canary: requests by arm",
            "Per second, by arm and status, of the model that has a canary. What the canary failed, the live version "
            "answered: tried again.",
            Query(per_second(f"topfive_canary_requests_total{{{MODEL}}}", by="arm, code"), "{{arm}} {{code}}"),
            Query(per_second(f"topfive_canary_retried_total{{{MODEL}}}"), "tried again"),
            unit="reqps",
            values=False,
        ),
        lines(
            "Canary: faults",
            "Share of each arm's requests that came to 500, 503 or 504. More of the canary's than chance explains turn "
            "it off.",
            Query(_faults(), "{{arm}}"),
            unit="percentunit",
            most=1,
            values=False,
        ),
        lines(
            "Canary: time of an answer",
            "Queue and inference of answers, by arm: half, and nine in ten, take less.",
            *(
                Query(
                    quantile(number, f"topfive_canary_duration_seconds_bucket{{{MODEL}}}", by="arm"),
                    f"{{{{arm}}}} {name}",
                )
                for name, number in _QUANTILES
            ),
            unit="s",
            values=False,
        ),
    ]
    return Row("Which version is on trial?", [PanelRow(shadow), PanelRow(canary)])


def _agreement() -> Panel:
    agreeing = per_second(f'{_COMPARED}{{{MODEL}, agrees="yes"}}', by=_SHADOW)
    all_of_them = per_second(f"{_COMPARED}{{{MODEL}}}", by=_SHADOW)
    return lines(
        "Shadow: agreement",
        "Share of the images whose first label is the same in the live answer and in the shadow's. Which they are that "
        "differ: topfive shadow report.",
        Query(f"{agreeing} / ({all_of_them} > 0)", _TARGET),
        unit="percentunit",
        most=1,
        values=False,
    )


def _faults() -> str:
    faults = per_second(f"topfive_canary_requests_total{{{MODEL}, code=~{_FAULTS}}}", by="arm")
    requests = per_second(f"topfive_canary_requests_total{{{MODEL}}}", by="arm")
    return f"({faults} or 0 * {requests}) / ({requests} > 0)"
