"""The kinds of panels and their look, in the JSON schema of Grafana 12 (41).

`service` and `triton` say what panels show; `layout` says where they stand.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

Json = dict[str, Any]

SOURCE: Final = {"type": "prometheus", "uid": "${source}"}
PLUGIN_VERSION: Final = "12.0.0"
GREEN, ORANGE, RED, BLUE, GREY = "green", "orange", "red", "blue", "text"

Steps = Sequence[tuple[str, float | None]]
"""Colours, each with the value at which it begins; the first begins at None."""
NEUTRAL: Final[Steps] = ((BLUE, None),)


@dataclass(frozen=True, slots=True)
class Query:
    """One PromQL expression; `legend` may name labels, as in `{{route}}`. `now`: only the current value is used."""

    expression: str
    legend: str = ""
    form: str = "time_series"
    now: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """A panel; `layout` gives it its place."""

    kind: str
    title: str
    description: str
    queries: Sequence[Query]
    defaults: Json
    options: Json
    overrides: Sequence[Json] = ()
    transformations: Sequence[Json] = ()

    def json(self, number: int, place: Json) -> Json:
        """The panel in Grafana's JSON, with its id and place."""
        return {
            "id": number,
            "type": self.kind,
            "title": self.title,
            "description": self.description,
            "gridPos": place,
            "datasource": SOURCE,
            "pluginVersion": PLUGIN_VERSION,
            "targets": [_target(query, chr(ord("A") + index)) for index, query in enumerate(self.queries)],
            "fieldConfig": {"defaults": self.defaults, "overrides": list(self.overrides)},
            "options": self.options,
            **({"transformations": list(self.transformations)} if self.transformations else {}),
        }


def stat(title: str, description: str, query: Query, *, unit: str, steps: Steps, empty: str, zero: str = "") -> Panel:
    """One number in the colour of its step; `empty`: the text if there is no number, `zero`: the text for 0."""
    mappings = [{"type": "value", "options": {"0": {"text": zero, "index": 0}}}] if zero else []
    return Panel(
        kind="stat",
        title=title,
        description=description,
        queries=[query],
        defaults={
            "unit": unit,
            "color": {"mode": "thresholds"},
            "thresholds": _thresholds(steps),
            "mappings": mappings,
            "noValue": empty,
        },
        options={
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "colorMode": "value" if steps == NEUTRAL else "background",
            "graphMode": "none" if query.now else "area",
            "justifyMode": "auto",
            "orientation": "auto",
            "textMode": "auto",
            "wideLayout": True,
            "showPercentChange": False,
        },
    )


def lines(
    title: str,
    description: str,
    *queries: Query,
    unit: str,
    stacked: bool = False,
    steps: Steps = (),
    most: float | None = None,
    overrides: Sequence[Json] = (),
    values: bool = True,
) -> Panel:
    """Lines over time, or areas that add up if `stacked`; `steps` are drawn as horizontal lines.

    `values`: the legend has the last value of each line. Where lines are many, their names alone fill it.
    """
    custom: Json = {
        "drawStyle": "line",
        "lineInterpolation": "linear",
        "lineWidth": 1,
        "fillOpacity": 60 if stacked else 8,
        "gradientMode": "none",
        "showPoints": "auto",
        "pointSize": 4,
        "spanNulls": False,
        "insertNulls": False,
        "axisPlacement": "auto",
        "axisLabel": "",
        "axisColorMode": "text",
        "axisSoftMin": 0,
        "scaleDistribution": {"type": "linear"},
        "hideFrom": {"legend": False, "tooltip": False, "viz": False},
        "stacking": {"group": "A", "mode": "normal" if stacked else "none"},
        "thresholdsStyle": {"mode": "dashed" if steps else "off"},
    }
    defaults: Json = {
        "unit": unit,
        "color": {"mode": "palette-classic"},
        "custom": custom,
        "thresholds": _thresholds(steps or ((GREEN, None),)),
        "mappings": [],
    }
    if most is not None:
        defaults |= {"min": 0, "max": most}
    return Panel(
        kind="timeseries",
        title=title,
        description=description,
        queries=queries,
        defaults=defaults,
        options={
            "legend": {
                "displayMode": "list",
                "placement": "bottom",
                "showLegend": True,
                "calcs": ["lastNotNull"] if values else [],
            },
            "tooltip": {"mode": "multi", "sort": "none" if stacked else "desc"},
        },
        overrides=overrides,
    )


def heatmap(title: str, description: str, buckets: str, *, unit: str, decimals: int) -> Panel:
    """How a histogram changes over time; `buckets`: its buckets by `le`, per second."""
    return Panel(
        kind="heatmap",
        title=title,
        description=description,
        queries=[Query(buckets, "{{le}}", form="heatmap")],
        defaults={"custom": {"hideFrom": {"legend": False, "tooltip": False, "viz": False}}},
        options={
            "calculate": False,
            "cellGap": 1,
            "cellValues": {"unit": "reqps" if unit == "s" else "ops", "decimals": 2},
            "color": {
                "mode": "scheme",
                "scheme": "Oranges",
                "fill": "dark-orange",
                "scale": "exponential",
                "exponent": 0.5,
                "steps": 64,
                "reverse": False,
            },
            "exemplars": {"color": "rgba(255,0,255,0.7)"},
            "filterValues": {"le": 1e-9},
            "legend": {"show": True},
            "rowsFrame": {"layout": "auto"},
            "showValue": "never",
            "tooltip": {"mode": "single", "showColorScale": True, "yHistogram": True},
            "yAxis": {"axisPlacement": "left", "reverse": False, "unit": unit, "decimals": decimals},
        },
    )


def table(title: str, description: str, query: str, *, columns: Mapping[str, int], empty: str) -> Panel:
    """A table of the labels `columns`, each so many pixels wide, with a line for each series that `query` finds now."""
    return Panel(
        kind="table",
        title=title,
        description=description,
        queries=[Query(query, form="table", now=True)],
        defaults={
            "color": {"mode": "thresholds"},
            "thresholds": _thresholds(((GREEN, None),)),
            "custom": {"align": "auto", "cellOptions": {"type": "auto"}, "inspect": False},
            "mappings": [],
            "noValue": empty,
        },
        options={
            "showHeader": True,
            "cellHeight": "sm",
            "sortBy": [{"displayName": next(iter(columns)), "desc": False}],
        },
        overrides=[_override(name, {"custom.width": width}) for name, width in columns.items()],
        transformations=[
            {"id": "filterFieldsByName", "options": {"include": {"names": list(columns)}}},
            {
                "id": "organize",
                "options": {
                    "indexByName": {name: index for index, name in enumerate(columns)},
                    "excludeByName": {},
                    "renameByName": {},
                },
            },
        ],
    )


def coloured(colours: Mapping[str, str]) -> list[Json]:
    """Overrides that give these series fixed colours."""
    return [_override(name, {"color": {"mode": "fixed", "fixedColor": colour}}) for name, colour in colours.items()]


def dashed(name: str) -> Json:
    """An override that draws the series `name` as a bound: a red dashed line."""
    return _override(
        name,
        {
            "color": {"mode": "fixed", "fixedColor": RED},
            "custom.lineStyle": {"fill": "dash", "dash": [10, 10]},
            "custom.fillOpacity": 0,
            "custom.stacking": {"group": "bound", "mode": "none"},
        },
    )


def limits() -> list[Json]:
    """Overrides that draw each series whose name ends with "limit" as a bound."""
    (properties,) = [dashed("")["properties"]]
    return [{"matcher": {"id": "byRegexp", "options": "/limit$/"}, "properties": properties}]


def unstacked(name: str, colour: str) -> Json:
    """An override that draws the series `name` as a line over the stacked areas."""
    return _override(
        name,
        {
            "color": {"mode": "fixed", "fixedColor": colour},
            "custom.fillOpacity": 0,
            "custom.lineWidth": 2,
            "custom.stacking": {"group": "line", "mode": "none"},
        },
    )


def _override(name: str, properties: Mapping[str, Any]) -> Json:
    return {
        "matcher": {"id": "byName", "options": name},
        "properties": [{"id": key, "value": value} for key, value in properties.items()],
    }


def _thresholds(steps: Steps) -> Json:
    return {"mode": "absolute", "steps": [{"color": colour, "value": value} for colour, value in steps]}


def _target(query: Query, name: str) -> Json:
    return {
        "refId": name,
        "datasource": SOURCE,
        "editorMode": "code",
        "expr": query.expression,
        "legendFormat": query.legend or "__auto",
        "format": query.form,
        "instant": query.now,
        "range": not query.now,
    }
