"""The frame of a dashboard: places of panels, rows, variables, links, annotations.

The kinds of panels are in `panels`; `service` and `triton` say what they show.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from deploy.grafana.boards.panels import SOURCE, Json, Panel

COLUMNS: Final = 24  # Grafana's grid always has 24
SCHEMA_VERSION: Final = 41
TAG: Final = "topfive"


@dataclass(frozen=True, slots=True)
class PanelRow:
    """Panels side by side, of equal height and width."""

    panels: Sequence[Panel]
    height: int = 8


@dataclass(frozen=True, slots=True)
class Row:
    """A titled row: a question, and the panels that answer it."""

    title: str
    lines: Sequence[PanelRow]


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable: a choice among the values of `label` in the series of `metric`; default: all."""

    name: str
    label: str
    metric: str

    def json(self) -> Json:
        """The JSON that Grafana reads."""
        query = f"label_values({self.metric}, {self.label})"
        return {
            "name": self.name,
            "label": self.name.capitalize(),
            "type": "query",
            "datasource": SOURCE,
            "definition": query,
            "query": {"qryType": 1, "query": query, "refId": "PrometheusVariableQueryEditor-VariableQuery"},
            "includeAll": True,
            "allValue": ".*",
            "multi": True,
            "current": {"text": ["All"], "value": ["$__all"]},
            "options": [],
            "regex": "",
            "refresh": 2,  # reload the values at each refresh of the dashboard: replicas come and go
            "sort": 1,
            "hide": 0,
            "skipUrlSync": False,
        }


@dataclass(frozen=True, slots=True)
class Marker:
    """Vertical lines in all panels: while `expression` has a value, or at the times in ms that its values are."""

    name: str
    expression: str
    text: str
    colour: str
    value_is_time: bool

    def json(self) -> Json:
        """The JSON that Grafana reads."""
        return {
            "name": self.name,
            "datasource": SOURCE,
            "enable": True,
            "hide": False,
            "iconColor": self.colour,
            "expr": self.expression,
            "target": {"refId": "Anno", "expr": self.expression, "interval": "5s"},
            "step": "5s",
            "titleFormat": self.name,
            "textFormat": self.text,
            "tagKeys": "",
            "useValueForTime": self.value_is_time,
        }


LOAD_TEST = Marker(
    name="load test",
    expression="topfive_loadtest_phase",
    text="{{phase}} ({{run}})",
    colour="orange",
    value_is_time=False,
)
"""Marks each phase of a run of loadtests/."""


@dataclass(frozen=True, slots=True)
class Board:
    """A dashboard."""

    uid: str
    title: str
    description: str
    rows: Sequence[Row]
    variables: Sequence[Variable]
    markers: Sequence[Marker] = ()

    def json(self) -> Json:
        """The JSON that Grafana reads."""
        return {
            "uid": self.uid,
            "title": self.title,
            "description": self.description,
            "tags": [TAG],
            "schemaVersion": SCHEMA_VERSION,
            "version": 1,
            "editable": True,
            "graphTooltip": 1,  # a shared crosshair in all panels
            "fiscalYearStartMonth": 0,
            "timezone": "browser",
            "time": {"from": "now-15m", "to": "now"},
            "timepicker": {"refresh_intervals": ["5s", "10s", "30s", "1m", "5m"]},
            "refresh": "5s",
            "links": [_link()],
            "annotations": {"list": [marker.json() for marker in self.markers]},
            "templating": {"list": [_source(), *(variable.json() for variable in self.variables)]},
            "panels": _placed(self.rows),
        }


def _placed(rows: Sequence[Row]) -> list[Json]:
    placed: list[Json] = []
    below = 0
    for row in rows:
        placed.append(_heading(row.title, len(placed) + 1, below))
        below += 1
        for line in row.lines:
            width = COLUMNS // len(line.panels)
            for index, panel in enumerate(line.panels):
                place = {"x": index * width, "y": below, "w": width, "h": line.height}
                placed.append(panel.json(len(placed) + 1, place))
            below += line.height
    return placed


def _heading(title: str, number: int, y: int) -> Json:
    return {
        "id": number,
        "type": "row",
        "title": title,
        "collapsed": False,
        "gridPos": {"x": 0, "y": y, "w": COLUMNS, "h": 1},
        "panels": [],
    }


def _source() -> Json:
    """The variable that chooses the Prometheus to query."""
    return {
        "name": "source",
        "label": "Prometheus",
        "type": "datasource",
        "query": "prometheus",
        "current": {"text": "Prometheus", "value": "prometheus"},
        "options": [],
        "regex": "",
        "refresh": 1,
        "includeAll": False,
        "multi": False,
        "hide": 0,
        "skipUrlSync": False,
    }


def _link() -> dict[str, Any]:
    """Links to the other dashboards, which keep the time range."""
    return {
        "title": "topfive",
        "type": "dashboards",
        "tags": [TAG],
        "asDropdown": False,
        "icon": "external link",
        "includeVars": False,
        "keepTime": True,
        "targetBlank": False,
        "tooltip": "",
        "url": "",
    }
