"""The dashboard of the service: an operator's questions in their order, and the panels that answer them.

Its rows on the objectives are in `objectives`, those on capacity, cost and models in `capacity`, that on versions on
trial in `trials`, that on drift in `drift`, that on the answer cache in `caching`, that on tenants in `tenants`.
"""

from typing import Final

from deploy.grafana.boards import caching, capacity, drift, objectives, tenants, trials
from deploy.grafana.boards import panels as p
from deploy.grafana.boards.layout import LOAD_TEST, Board, Marker, PanelRow, Row, Variable
from deploy.grafana.boards.panels import Json, Query, heatmap, lines, stat, table
from deploy.grafana.boards.queries import MODEL, PROCESS, REQUEST, WHERE, mean, per_second, quantile, requests, share

UID: Final = "topfive"
OBJECTIVE: Final = Query("topfive:objective:seconds", "objective")
QUANTILES: Final = (("p50", 0.5), ("p90", 0.9), ("p99", 0.99))
STAGES: Final = {"decode": "blue", "resize": "purple", "queue": "orange", "inference": "green"}
"""The stages' names, as in /metrics and `Server-Timing`, in the order of a request, each with its colour."""


def board() -> Json:
    """The dashboard in Grafana's JSON."""
    return Board(
        uid=UID,
        title="topfive",
        description="Image classification: is it healthy, does it keep its objectives, where is the time?",
        rows=[
            *(_healthy(), objectives.kept(), _fast(), _time(), capacity.full(), capacity.cost(), capacity.models()),
            tenants.told_apart(),
            caching.cached(),
            trials.on_trial(),
            drift.same(),
        ],
        variables=[
            Variable("service", "service", "topfive_ready"),
            Variable("instance", "instance", 'topfive_ready{service=~"$service"}'),
            Variable("model", "model", f"topfive_images_total{{{WHERE}}}"),
            Variable("route", "route", f"topfive_request_duration_seconds_count{{{WHERE}}}"),
        ],
        markers=[
            Marker(
                name="start",
                expression=f"process_start_time_seconds{{{PROCESS}}} * 1000",
                text="{{service}} {{instance}} started",
                colour="purple",
                value_is_time=True,
            ),
            Marker(
                name="model",
                expression=f"(topfive_model_info{{{WHERE}}} == 1) unless (topfive_model_info offset 10s == 1)",
                text="{{service}} {{instance}}: {{model}} {{version}}",
                colour="blue",
                value_is_time=False,
            ),
            LOAD_TEST,
        ],
    ).json()


def _healthy() -> Row:
    stats = [
        stat(
            "Ready",
            "Worker processes that take requests, of each service. None: TopfiveNotReady in docs/operations.md.",
            Query(f"sum by (service) (topfive_ready{{{WHERE}}})", "{{service}}", now=True),
            unit="none",
            steps=((p.RED, None), (p.GREEN, 1)),
            empty="no service",
            zero="not ready",
        ),
        stat(
            "Targets down",
            "Services and Tritons that do not answer Prometheus.",
            Query('sum(1 - up{job=~"topfive|triton"})', now=True),
            unit="none",
            steps=((p.GREEN, None), (p.RED, 1)),
            empty="no target",
        ),
        stat(
            "Alerts firing",
            "Those of deploy/prometheus/rules; the table below names them, with those that are about to fire.",
            Query('count(ALERTS{alertstate="firing"}) or vector(0)', now=True),
            unit="none",
            steps=((p.GREEN, None), (p.RED, 1)),
            empty="0",
        ),
        stat(
            "Requests",
            "Requests per second, however they were answered.",
            Query(f"{requests()} or 0 * sum(topfive_ready{{{WHERE}}})"),
            unit="reqps",
            steps=p.NEUTRAL,
            empty="no service",
        ),
        stat(
            "Errors",
            "Share of the requests that failed by our fault (500). What was refused is in the next number.",
            Query(share(requests(', code=~"5..", code!~"503|504"'), requests())),
            unit="percentunit",
            steps=((p.GREEN, None), (p.ORANGE, 0.001), (p.RED, 0.01)),
            empty="no requests",
        ),
        stat(
            "Refused",
            "Share of the requests refused for want of room or time: 429 full, 503 not ready, 504 deadline.",
            Query(share(requests(', code=~"429|503|504"'), requests())),
            unit="percentunit",
            steps=((p.GREEN, None), (p.ORANGE, 0.01), (p.RED, 0.05)),
            empty="no requests",
        ),
    ]
    no_answers = f'label_replace(0 * sum(topfive_ready{{{WHERE}}}), "code", "200", "", "")'
    below = [
        lines(
            "Requests by status",
            "Requests per second by HTTP status; gRPC's statuses are counted as those of HTTP that they match.",
            Query(f"{requests(by='code')} or {no_answers}", "{{code}}"),
            unit="reqps",
            stacked=True,
            overrides=p.coloured({"200": "green", "429": "yellow", "503": "orange", "504": "purple", "500": "red"}),
        ),
        table(
            "Alerts",
            "What fires, and what will if it goes on. docs/operations.md says what to do for each.",
            'ALERTS{alertstate=~"firing|pending"}',
            columns={"alertname": 190, "alertstate": 90, "severity": 80, "service": 130, "instance": 160},
            empty="none",
        ),
    ]
    return Row("Is it healthy?", [PanelRow(stats, height=4), PanelRow(below)])


def _fast() -> Row:
    buckets = f'topfive_request_duration_seconds_bucket{{{REQUEST}, code="200"}}'
    all_of_them = lines(
        "Latency",
        "From a request's head to its answer, of requests answered with 200. Half are faster than p50, one in a "
        "hundred is slower than p99. Precise up to the width of a bucket of the histogram.",
        *(Query(quantile(number, buckets), name) for name, number in QUANTILES),
        OBJECTIVE,
        unit="s",
        overrides=[*p.coloured({"p50": "green", "p90": "yellow", "p99": "orange"}), p.dashed("objective")],
    )
    distribution = heatmap(
        "Latency, all of it",
        "How many requests per second took how long. Two bands are two kinds of requests, or of waiting.",
        per_second(buckets, by="le"),
        unit="s",
        decimals=4,
    )
    by_route = [
        lines(
            f"{name} by route",
            f"{name} of each route of each service, of requests answered with 200.",
            Query(quantile(number, buckets, by="service, route"), "{{service}} {{route}}"),
            OBJECTIVE,
            unit="s",
            overrides=[p.dashed("objective")],
            values=False,
        )
        for name, number in QUANTILES
    ]
    return Row("How fast?", [PanelRow([all_of_them, distribution]), PanelRow(by_route)])


def _time() -> Row:
    stages = "topfive_stage_duration_seconds"
    whole = mean("topfive_request_duration_seconds", f'{MODEL}, code="200"')
    in_stages = _per_answer(f"{stages}_sum{{{MODEL}}}")
    stacked = lines(
        "Mean time of a request, by stage",
        "Where an answered request's time goes, on average, over all routes. 'rest' is what is no stage: waiting for "
        "the body to arrive, and writing the answer. What comes from the answer cache has spent nothing in any stage.",
        *(Query(_per_answer(f'{stages}_sum{{{MODEL}, stage="{stage}"}}'), stage) for stage in STAGES),
        Query(f"clamp_min({whole} - {in_stages}, 0)", "rest"),
        unit="s",
        stacked=True,
        overrides=p.coloured({**STAGES, "rest": p.GREY}),
    )
    tail = lines(
        "p90 of each stage",
        "One request in ten spends more in this stage. These do not add up: each is of other requests.",
        Query(quantile(0.9, f"{stages}_bucket{{{MODEL}}}", by="stage"), "{{stage}}"),
        unit="s",
        overrides=p.coloured(STAGES),
    )
    return Row("Where is the time?", [PanelRow([stacked, tail])])


def _per_answer(seconds: str) -> str:
    """The mean of `seconds` over all answered requests, those from the answer cache included."""
    count = per_second(f'topfive_request_duration_seconds_count{{{MODEL}, code="200"}}')
    return f"{per_second(seconds)} / ({count} > 0)"
