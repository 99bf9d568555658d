"""The deployed configuration of Prometheus is one that it takes, and each alert fires when it should and only then."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.testkit.prometheus import CONFIG, RULES, needs_prometheus, promtool, with_targets
from tests.testkit.serving_process import ROOT
from topfive.observe.metrics import DURATION_BUCKETS

GROUPS: Final[list[dict[str, Any]]] = [
    group for path in RULES for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
]
RECORDED: Final = [group for group in GROUPS if "record" in group["rules"][0]]
ALERTING: Final = [group for group in GROUPS if group not in RECORDED]
ALERTS: Final[dict[str, Any]] = {rule["alert"]: rule for group in GROUPS for rule in group["rules"] if "alert" in rule}
OBJECTIVE: Final = (ROOT / "deploy" / "prometheus" / "rules" / "objective.yml").read_text(encoding="utf-8")
HERE: Final = 'service="service", instance="10.0.0.2:8000"'
LABELS: Final = {"service": "service"}
MODEL: Final = {**LABELS, "model": "m"}
INSTANCE: Final = {**LABELS, "instance": "10.0.0.2:8000"}


@dataclass(frozen=True)
class Case:
    """`alert` on these series, in promtool's notation, `at` a time: it fires with labels and value, or not at all."""

    alert: str
    says: str
    series: Mapping[str, str]
    at: str
    fires: Mapping[str, str] | None = None
    value: str = ""
    interval: str = "15s"


def requests(*, code: int = 200, each_step: float, steps: int) -> dict[str, str]:
    """The counter of requests of this status."""
    return {f'topfive_request_duration_seconds_count{{{HERE}, code="{code}"}}': f"0+{each_step}x{steps}"}


def answers(*, slow: float, each_step: float = 100, steps: int) -> dict[str, str]:
    """Counters of so many answers with each step, of which the share `slow` is later than the objective."""
    bucket = f'topfive_request_duration_seconds_bucket{{{HERE}, code="200", le="0.1"}}'
    return {**requests(each_step=each_step, steps=steps), bucket: f"0+{each_step * (1 - slow)}x{steps}"}


TRIED: Final = {"service": "service", "model": "m", "target": "m:2"}
CANARIED: Final = {"service": "service", "model": "m", "version": "2"}
CANARY: Final = f'topfive_canary_rolled_back{{{HERE}, model="m", version="2"}}'


def compared(*, yes: float = 0, no: float = 0) -> dict[str, str]:
    """Counters of a shadow's images a minute, by whether both agree."""
    series = f'topfive_shadow_compared_total{{{HERE}, model="m", target="m:2", agrees="'
    return {f'{series}yes"}}': f"0+{yes}x60", f'{series}no"}}': f"0+{no}x60"}


def dropped(**reasons: float) -> dict[str, str]:
    """Counters of images a minute that the shadow did not answer, by reason."""
    series = f'topfive_shadow_dropped_total{{{HERE}, model="m", target="m:2", reason="'
    return {f'{series}{reason}"}}': f"0+{each_minute}x60" for reason, each_minute in reasons.items()}


def traffic(**values: str) -> dict[str, str]:
    """Counters of requests by status, as in `_429="0+1x10"`."""
    return {
        f'topfive_request_duration_seconds_count{{{HERE}, code="{code.strip("_")}"}}': counted
        for code, counted in values.items()
    }


def turning(in_time: str) -> dict[str, str]:
    """A hundred answers with each step, and how the counter of those in time goes on."""
    return {
        **answers(slow=0, steps=310),
        f'topfive_request_duration_seconds_bucket{{{HERE}, code="200", le="0.1"}}': in_time,
    }


def waits(*, le: float, steps: int) -> dict[str, str]:
    """A histogram of waiting: nine in ten below 0.03 s, the tenth below `le`."""
    name = f'topfive_stage_duration_seconds_bucket{{{HERE}, model="m", stage="queue", le='
    return {
        f'{name}"0.03"}}': f"0+80x{steps}",
        f'{name}"{le}"}}': f"0+100x{steps}",
        f'{name}"+Inf"}}': f"0+100x{steps}",
    }


def drift(*, png: float, steps: int) -> dict[str, str]:
    """Counters of so many answered images with each minute, of which all were JPEGs in the baseline, of 1000 images."""
    signal = f'job="topfive", {HERE}, model="m", signal="formats"'
    shares = {"jpeg": 1, "png": 0, "(gone)": -1}
    return {
        **{f'topfive_baseline_share{{{signal}, bucket="{name}"}}': f"{shares[name]}x{steps}" for name in shares},
        f"topfive_baseline_images{{{signal}}}": f"1000x{steps}",
        f'topfive_image_formats_total{{{HERE}, model="m", format="jpeg"}}': f"0+{10 - png}x{steps}",
        f'topfive_image_formats_total{{{HERE}, model="m", format="png"}}': f"0+{png}x{steps}",
    }


UP: Final = f'up{{job="topfive", {HERE}}}'
READY: Final = f"topfive_ready{{{HERE}}}"
STORE: Final = f"topfive_store_failures{{{HERE}}}"
STARTED: Final = f'process_start_time_seconds{{job="topfive", {HERE}}}'
FAILED: Final = f'topfive_batch_failures_total{{{HERE}, model="m"}}'
LATENCY: Final = {**LABELS, "objective": "latency"}
AVAILABILITY: Final = {**LABELS, "objective": "availability"}
DAY: Final = 24 * 2
"""Steps of half an hour."""

CASES: Final = (
    Case("TargetDown", "down for long enough", {UP: "1x4 0x10"}, "2m", {**INSTANCE, "job": "topfive"}),
    Case("TargetDown", "not for one scrape", {UP: "1x4 0 1x10"}, "1m30s"),
    Case("TargetDown", "not another job's", {UP.replace("topfive", "node"): "0x20"}, "2m"),
    Case("TopfiveAbsent", "no target at all", {READY: "1x20"}, "2m", {"job": "topfive"}),
    Case("TopfiveAbsent", "not with a target, even one that is down", {UP: "0x20"}, "2m"),
    Case("TopfiveNotReady", "for more than a minute", {READY: "1x4 0x10"}, "3m", INSTANCE),
    Case("TopfiveNotReady", "not while it starts", {READY: "0 0 0 1x20"}, "2m"),
    Case("TopfiveNotReady", "not with one worker process of several", {READY: "1x20"}, "2m"),
    Case("TopfiveRestarting", "four starts in 15 minutes", {STARTED: "1 2 3 4x10"}, "3m", LABELS, "3"),
    Case("TopfiveStoreFails", "for more than ten minutes", {STORE: "0x4 1x90"}, "13m", LABELS, "1"),
    Case("TopfiveStoreFails", "not for a short outage", {STORE: "0x4 1+1x20 0x90"}, "16m"),
    Case("TopfiveRestarting", "not for a rolling restart", {STARTED: "1 1 2 2 3x10"}, "3m"),
    Case(
        "TopfiveUnavailable",
        "99 % refused for half an hour",
        traffic(_200="0+100x60 6001+1x30", _429="0x60 99+99x30"),
        "90m",
        AVAILABILITY,
        "495",
        interval="1m",
    ),
    Case(
        "TopfiveUnavailable",
        "all refused since it started",
        traffic(_503="0+100x20"),
        "5m",
        AVAILABILITY,
        "1000",
        interval="1m",
    ),
    *(
        Case(
            "TopfiveUnavailable",
            f"three in a hundred answered with {code}",
            traffic(_200="0+97x20", **{f"_{code}": "0+3x20"}),
            "20m",
            AVAILABILITY,
            "30",
            interval="1m",
        )
        for code in (429, 500, 502, 503, 504)
    ),
    Case(
        "TopfiveUnavailable",
        "not for one failure in twenty requests",
        traffic(_200="0+1x19 19x60", _500="0x10 1x70"),
        "25m",
        interval="1m",
    ),
    Case(
        "TopfiveUnavailable",
        "ten failures of ten requests",
        traffic(_200="0x60", _500="0+1x10 10x10"),
        "12m",
        AVAILABILITY,
        "1000",
        interval="1m",
    ),
    Case(
        "TopfiveUnavailable",
        "not for one in a hundred for ten minutes",
        traffic(_200="0+100x60 6000+99x10", _500="0x60 1+1x10"),
        "70m",
        interval="1m",
    ),
    Case(
        "TopfiveUnavailable",
        "0.8 % for hours",
        traffic(_200="0+9920x80", _429="0+80x80"),
        "6h",
        AVAILABILITY,
        "8",
        interval="5m",
    ),
    Case(
        "TopfiveUnavailable",
        "not when it is over",
        traffic(_200="0+100x60 6000x30 6100+100x60", _503="0x60 100+100x30 3100x60"),
        "125m",
        interval="1m",
    ),
    Case("TopfiveUnavailable", "not without a request", traffic(_200="5000x20", _503="200x20"), "20m", interval="1m"),
    Case(
        "TopfiveUnavailable",
        "not what clients did wrong, nor those that left",
        traffic(_200="0+10x20", **{f"_{code}": "0+50x20" for code in (400, 401, 404, 413, 415, 422, 499)}),
        "20m",
        interval="1m",
    ),
    Case(
        "TopfiveUnavailable",
        "not tenants beyond their limits",
        traffic(_200="0+10x20", **{"_429 limit": "0+50x20"}),
        "20m",
        interval="1m",
    ),
    Case(
        "TopfiveUnavailable",
        "not hidden by what clients did wrong",
        traffic(_200="0+97x20", _503="0+3x20", _422="0+10000x20"),
        "20m",
        AVAILABILITY,
        "30",
        interval="1m",
    ),
    Case(
        "TopfiveLosingRequests",
        "0.2 % for days",
        traffic(_200=f"0+9980x{3 * DAY}", _504=f"0+20x{3 * DAY}"),
        "3d",
        AVAILABILITY,
        "2",
        interval="30m",
    ),
    Case(
        "TopfiveLosingRequests",
        "0.4 % for a day",
        traffic(_200=f"0+9960x{DAY}", _429=f"0+40x{DAY}"),
        "23h",
        AVAILABILITY,
        "4",
        interval="30m",
    ),
    Case(
        "TopfiveLosingRequests",
        "not within the objective",
        traffic(_200=f"0+9991x{DAY}", _429=f"0+9x{DAY}"),
        "23h",
        interval="30m",
    ),
    Case(
        "TopfiveLosingRequests",
        "not for three failures a day",
        traffic(_200=f"0+1x{DAY}", _500="0x10 1x10 2x10 3x20"),
        "23h",
        interval="30m",
    ),
    Case("TopfiveSlow", "all answers late", answers(slow=1, steps=20), "20m", LATENCY, "100", "1m"),
    Case("TopfiveSlow", "a fifth late", answers(slow=0.2, steps=20), "20m", LATENCY, "20", "1m"),
    Case("TopfiveSlow", "not with one in seventeen late", answers(slow=0.059, steps=20), "20m", None, "", "1m"),
    Case("TopfiveSlow", "not for five minutes of late ones", turning("0+100x300 30000x5"), "305m", None, "", "1m"),
    Case("TopfiveSlow", "not when it is over", turning("0x60 0+100x40"), "100m", None, "", "1m"),
    Case("TopfiveSlow", "7 % late for hours", answers(slow=0.07, steps=80), "6h", LATENCY, "7", "5m"),
    Case("TopfiveSlow", "not with 5 % late for hours", answers(slow=0.05, steps=80), "6h", None, "", "5m"),
    Case(
        "TopfiveSlow",
        "twenty answers of twenty late",
        answers(slow=1, each_step=1, steps=20),
        "20m",
        LATENCY,
        "100",
        "1m",
    ),
    Case("TopfiveSlow", "not with nine late ones", answers(slow=1, each_step=0.45, steps=20), "20m", None, "", "1m"),
    Case("TopfiveSlow", "not with fast ones", answers(slow=0, steps=20), "20m", None, "", "1m"),
    Case("TopfiveSlowlyTooSlow", "2 % late for days", answers(slow=0.02, steps=3 * DAY), "3d", LATENCY, "2", "30m"),
    Case("TopfiveSlowlyTooSlow", "4 % late for a day", answers(slow=0.04, steps=DAY), "23h", LATENCY, "4", "30m"),
    Case("TopfiveSlowlyTooSlow", "not within the objective", answers(slow=0.009, steps=DAY), "23h", None, "", "30m"),
    Case(
        "TopfiveQueueWait", "a tenth waits for long", waits(le=0.2, steps=80), "10m", {**LABELS, "model": "m"}, "115ms"
    ),
    Case("TopfiveQueueWait", "not below half of the objective", waits(le=0.05, steps=80), "10m"),
    Case(
        "TopfiveDrift",
        "every second image another format",
        drift(png=5, steps=200),
        "150m",
        {**MODEL, "signal": "formats"},
        "3.794",
        "1m",
    ),
    Case("TopfiveDrift", "not for a tenth", drift(png=0.3, steps=200), "150m", None, "", "1m"),
    Case("TopfiveDrift", "not before it lasts", drift(png=5, steps=200), "40m", None, "", "1m"),
    Case(
        "TopfiveDrift",
        "not with fewer than 200 images an hour",
        {name: text.replace("0+5x", "0+1x") for name, text in drift(png=5, steps=200).items()},
        "150m",
        None,
        "",
        "1m",
    ),
    Case("TopfiveBatchFailures", "one", {FAILED: "0x8 1x8"}, "3m", MODEL, "1"),
    Case("TopfiveBatchFailures", "not those of long ago", {FAILED: "0x4 1x80"}, "15m"),
    Case("TopfiveShadowDisagrees", "one in ten", compared(yes=9, no=1), "40m", TRIED, "10%", "1m"),
    Case("TopfiveShadowDisagrees", "not one in forty", compared(yes=39, no=1), "40m", None, "", "1m"),
    Case("TopfiveShadowDisagrees", "not of a few", compared(yes=0.5, no=0.5), "40m", None, "", "1m"),
    Case("TopfiveShadowFails", "half", compared(yes=9) | dropped(failed=5, timeout=4), "40m", TRIED, "50%", "1m"),
    Case("TopfiveShadowFails", "all, absent", compared() | dropped(absent=9), "40m", TRIED, "100%", "1m"),
    Case("TopfiveShadowFails", "not for busy cores", compared(yes=9) | dropped(full=9, busy=90), "40m", None, "", "1m"),
    Case("TopfiveCanaryRolledBack", "at once", {CANARY: "0x4 1x8"}, "2m", CANARIED),
    Case("TopfiveCanaryRolledBack", "not once it is on again", {CANARY: "0x4 1x8 0x8"}, "4m"),
)


RUNBOOKS: Final = '{{ or $externalLabels.runbooks (print $externalURL "/consoles/runbooks.html") }}'
"""What the template of every `runbook_url` begins with."""
PROMETHEUS: Final = "http://prometheus.test:9090"


def written(annotation: str, case: Case, *, runbooks: str = f"{PROMETHEUS}/consoles/runbooks.html") -> str:
    """What an annotation's template must become."""
    assert case.fires is not None
    text = annotation.replace(RUNBOOKS, runbooks)
    text = re.sub(r"\{\{ \$labels\.(\w+) \}\}", lambda found: (case.fires or {}).get(found[1], ""), text)
    return re.sub(r"\{\{ \$value \| \w+ \}\}", case.value, text)


def promtool_test(case: Case) -> dict[str, Any]:
    """The case as promtool takes it."""
    rule = ALERTS[case.alert]
    expected = (
        []
        if case.fires is None
        else [
            {
                "exp_labels": {**case.fires, **rule["labels"]},
                "exp_annotations": {name: written(text, case) for name, text in rule["annotations"].items()},
            }
        ]
    )
    return {
        "name": f"{case.alert}: {case.says}",
        "interval": case.interval,
        "external_url": PROMETHEUS,
        "input_series": [{"series": name, "values": values} for name, values in case.series.items()],
        "alert_rule_test": [{"eval_time": case.at, "alertname": case.alert, "exp_alerts": expected}],
    }


@needs_prometheus
@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_fires_when_it_should_and_only_then(alert: str, tmp_path: Path) -> None:
    """By promtool, with its labels and with annotations that say something."""
    cases = [case for case in CASES if case.alert == alert]
    fires = [case.fires is not None for case in cases]
    assert {True, False} <= set(fires), "there is a case of each kind"
    for interval in {case.interval for case in cases}:
        tests = {
            "rule_files": [str(path) for path in RULES],
            "evaluation_interval": interval,
            "group_eval_order": [group["name"] for group in RECORDED + ALERTING],
            "tests": [promtool_test(case) for case in cases if case.interval == interval],
        }
        file = tmp_path / f"{interval}.yml"
        file.write_text(yaml.safe_dump(tests, width=1000), encoding="utf-8")
        promtool("test", "rules", file)


@needs_prometheus
def test_prometheus_takes_the_configuration_and_the_rules() -> None:
    assert "SUCCESS" in promtool("check", "config", CONFIG)
    assert promtool("check", "rules", *RULES).count("SUCCESS") == len(RULES)


def test_only_what_an_operator_changes_is_changed_for_the_tests() -> None:
    deployed = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    changed = with_targets(deployed, {"topfive": {"service": "127.0.0.1:1"}})
    assert [name for name in deployed if deployed[name] != changed[name]] == ["global", "alerting", "scrape_configs"]
    assert deployed["alerting"]["alert_relabel_configs"] == changed["alerting"]["alert_relabel_configs"]
    for before, after in zip(deployed["scrape_configs"], changed["scrape_configs"], strict=True):
        assert before.keys() - after.keys() == {"dns_sd_configs"}
        assert after.keys() - before.keys() == {"static_configs"}
        assert all(after[name] == before[name] for name in before.keys() & after.keys())


def test_every_alert_says_how_urgent_it_is_and_leads_to_its_lines_in_the_runbook() -> None:
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    for name, rule in ALERTS.items():
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
        assert rule["annotations"]["runbook_url"] == f"{RUNBOOKS}#{name.lower()}"
        assert re.search(rf"^#+ {name}$", page, re.MULTILINE), f"no heading {name} in docs/operations.md"


def test_the_runbook_knows_no_other_alerts() -> None:
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    _, _, runbook = page.partition("\n## Alerts\n")
    headings: Sequence[str] = re.findall(r"^### (\w+)$", runbook.partition("\n## ")[0], re.MULTILINE)
    assert sorted(headings) == sorted(ALERTS)


def test_the_objective_is_one_and_a_bound_of_a_bucket() -> None:
    (seconds,) = re.findall(r"topfive:objective:seconds\n +expr: vector\((.+)\)", OBJECTIVE)
    (bound,) = re.findall(r'le="(.+)"', OBJECTIVE)
    assert bound == str(float(seconds)), "as Prometheus' client writes numbers"
    assert float(seconds) in DURATION_BUCKETS
