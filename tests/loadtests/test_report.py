"""The report, made of a stored run."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from loadtests import report, slo
from loadtests.report import contents, markdown
from loadtests.report import html as page
from loadtests.results import Run, load
from tests.testkit.stored_run import stored_run
from topfive_loadgen.objectives import ClosedObjective, Objectives
from topfive_loadgen.percentiles import summarise
from topfive_loadgen.tables import Table

RUN = stored_run()
BASELINE = stored_run("triton", speed=0.8, commit="0123abc")
VERDICT = slo.judge(RUN, slo.load(Path(slo.__file__).with_name("slo.yaml")))
BARE = Run(name="bare", url="http://127.0.0.1:1", began="2026-11-21T08:00:00Z", seconds=1.0, environment={"cores": 2})
PLOTS = {"throughput", "distributions", "stages", "knee", "resources", "shapes"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With all three files, of a run with everything."""
    made = tmp_path_factory.mktemp("report") / "new"
    written = report.write(RUN, made, baseline=BASELINE, verdict=VERDICT)
    assert [path.name for path in written] == ["run.json", "report.md", "report.html"]
    assert sorted(made.iterdir()) == sorted(written)
    return made


@pytest.fixture(scope="module")
def text(folder: Path) -> str:
    """The Markdown."""
    return (folder / "report.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def document(folder: Path) -> str:
    """The HTML."""
    return (folder / "report.html").read_text(encoding="utf-8")


class _Seen(HTMLParser):
    """Its tags with their attributes, and its words."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data.strip())

    def ids(self, tag: str) -> list[str]:
        return [attributes.get("id") or "" for name, attributes in self.tags if name == tag]


def tables() -> Iterator[Table]:
    for section in contents.sections(RUN, baseline=BASELINE, verdict=VERDICT):
        yield from section.tables
        yield from (table for pair in section.pairs for table in pair)


def test_every_figure_of_every_table_is_in_both(text: str, document: str) -> None:
    words = set(_Seen(document).words)
    lines = text.splitlines()
    cells = {cell for table in tables() for row in table.rows for cell in row if cell}
    assert len(cells) > 400
    assert cells - words == set()
    shown = {cell.strip() for line in lines if line.startswith("|") for cell in re.split(r"(?<!\\)\|", line)}
    assert {cell.replace("|", r"\|") for cell in cells} - shown == set()


def test_the_table_holds_what_was_measured(text: str) -> None:
    cell = next(cell for cell in RUN.closed if (cell.mix, cell.workers) == ("complex", 16))
    assert cell.latency is not None
    title, _, *rows = text.split("### complex queries\n\n")[1].splitlines()[:7]
    line = dict(zip((c.strip() for c in title.split("|")), (c.strip() for c in rows[-1].split("|")), strict=True))
    assert line["workers"] == "16"
    shown = [float(line[name]) for name in ("images/s", "p50, ms", "p99, ms")]
    measured = [cell.throughput, cell.latency.p50 * 1000, cell.latency.p99 * 1000]
    assert shown == pytest.approx(measured, rel=0.005)  # three digits
    assert line["errors"] == f"8 ({cell.error_ratio * 100:.2f} %)"
    assert line["RSS, MB"] == "922"
    assert line["doubts"] == f"not settled in 4 windows; p99 of {cell.latency.count} samples"


def test_sections_come_in_the_order_in_which_they_are_needed(document: str) -> None:
    assert _Seen(document).ids("section") == [
        "verdict",
        "comparison",
        "headline",
        "closed",
        "throughput",
        "distributions",
        "stages",
        "knee",
        "resources",
        "errors",
        "scenarios",
        "kinds",
        "shapes",
        "null",
        "environment",
    ]


def test_each_plot_is_in_the_page(document: str) -> None:
    labels = {attributes.get("aria-label") for tag, attributes in _Seen(document).tags if tag == "svg"}
    assert labels == PLOTS


def test_the_page_needs_nothing_else(document: str) -> None:
    tags = _Seen(document).tags
    assert {"script", "link", "img", "iframe", "image", "object"}.isdisjoint(tag for tag, _ in tags)
    linked = {
        value
        for _, attributes in tags
        for name, value in attributes.items()
        if name in {"src", "href", "xlink:href", "srcset", "data", "action"}
    }
    assert {value for value in linked if not (value or "").startswith("#")} == set()
    assert re.findall(r"url\((?!#)", document) == []
    assert "@import" not in document


def test_names_within_plots_do_not_collide(document: str) -> None:
    names = [attributes["id"] for _, attributes in _Seen(document).tags if "id" in attributes]
    assert len(names) == len(set(names))
    referred = {name for pattern in (r"url\(#([^)]+)\)", r'href="#([^"]+)"') for name in re.findall(pattern, document)}
    assert referred - set(names) == set()


def test_the_same_run_gives_the_same_bytes(document: str, text: str) -> None:
    assert page.render(RUN, BASELINE, VERDICT) == document
    assert markdown.render(RUN, BASELINE, VERDICT) == text


def test_what_was_written_is_read_back(folder: Path) -> None:
    again = load(folder / "run.json")
    assert markdown.render(again, BASELINE, VERDICT) == (folder / "report.md").read_text(encoding="utf-8")


def test_the_baseline_stands_beside_the_run(text: str, document: str) -> None:
    for shown in (text, html.unescape(document)):
        assert "random queries, baseline: triton" in shown
        assert "random queries, this run: embedded" in shown
        assert "0123abc" in shown
        assert "✓ throughput +2" in shown
        assert "Against the baseline triton: " in shown
    assert "✗" not in text.replace("✗ worse", "")  # a faster run is nowhere worse


def test_what_got_worse_says_so_in_words_and_by_a_sign() -> None:
    shown = markdown.render(BASELINE, RUN)
    assert "| worse " in shown
    assert "✗ throughput −2" in shown
    assert "| ✗ 105 |" in re.sub(" +", " ", shown)


def test_another_environment_is_warned_of() -> None:
    other = replace(BASELINE, environment={**BASELINE.environment, "cores": 8})
    assert "another environment, cores: 8 before, 2 now" in markdown.render(RUN, other)


def test_reasons_stand_above_all(tmp_path: Path) -> None:
    """Of what was missed, and of what was not measured."""
    objectives = tmp_path / "slo.yaml"
    objectives.write_text("closed: [{mix: random, workers: 8, p99_ms: 20}, {mix: random, workers: 3, p99_ms: 20}]")
    verdict = slo.judge(stored_run(speed=0.3), slo.load(objectives))
    shown = markdown.render(RUN, None, verdict)
    assert shown.index("## Verdict: FAIL") < shown.index("## In short")
    judged = shown[: shown.index("## In short")]
    rows = [line for line in judged.splitlines() if line.startswith(("| random", "| complex", "| peak"))]
    assert rows[0].rstrip(" |").endswith("missed")
    missed, unsaid = ([check for check in verdict.checks if check.met is met] for met in (False, None))
    assert missed
    assert unsaid
    assert sum("| missed" in line for line in rows) == len(missed)
    assert sum("| INVALID" in line for line in rows) == len(unsaid)
    assert f"Objectives: {len(missed)} missed, {len(unsaid)} of which the run cannot tell, " in shown


def test_the_verdict_alone_gives_each_reason_and_every_objective() -> None:
    found = slo.judge(
        replace(stored_run(speed=0.3), faults=["it was cut short"], null=None), Objectives(closed=[WANTED])
    )
    shown = markdown.verdict(found)
    assert shown.startswith("## Verdict: INVALID\n")
    assert found.reasons[0] == "the run: it was cut short"
    for told in (*found.reasons, *(f"to note: {note}" for note in found.notes)):
        assert f"- {told}\n" in shown
    assert "| random × 8: p99 " in shown
    assert "## Environment" not in shown


WANTED = ClosedObjective(mix="random", workers=8, p99_ms=120)


def test_an_invalid_run_says_so_first_even_without_objectives() -> None:
    shown = markdown.render(replace(RUN, faults=["the server was restarted"]))
    assert shown.index("INVALID run") < shown.index("the server was restarted") < shown.index("## In short")


def test_sections_without_data_are_left_out() -> None:
    seen = _Seen(page.render(BARE))
    assert seen.ids("section") == ["environment"]
    assert "svg" not in {tag for tag, _ in seen.tags}
    assert [line for line in markdown.render(BARE).splitlines() if line.startswith("## ")] == ["## Environment"]


def test_a_run_in_which_nothing_was_answered_is_drawn_too() -> None:
    dead = [
        replace(c, latency=None, scenarios={}, kinds={}, server=None, throughput=0.0, windows=()) for c in RUN.closed
    ]
    silent = [replace(moment, cpu_cores=None, resident_bytes=None) for moment in RUN.moments]
    shown = replace(
        RUN,
        closed=dead,
        open=[replace(each, latency=None) for each in RUN.open],
        shapes=[replace(RUN.shapes[0], points=(), latency=None)],
        capacities=[replace(RUN.capacities[0], rate=None, probes=())],
        moments=silent,
        null=None,
    )
    seen = _Seen(page.render(shown, shown))
    assert "no right answer" in seen.words
    assert "svg" not in {tag for tag, _ in seen.tags}


def test_a_run_of_one_sample_and_one_moment_is_drawn_too() -> None:
    single = summarise([0.01])
    short = replace(
        RUN,
        closed=[replace(RUN.closed[0], latency=single)],
        open=[replace(RUN.open[0], latency=single)],
        shapes=[replace(RUN.shapes[0], points=RUN.shapes[0].points[:1], latency=single)],
        capacities=(),
        moments=RUN.moments[1:2],
        null=None,
    )
    seen = _Seen(page.render(short))
    assert {attributes.get("aria-label") for tag, attributes in seen.tags if tag == "svg"} == PLOTS
    assert "p99 of 1 samples: too few for any" in seen.words


HOSTILE = '<script>alert("1")</script> $x_{$ | `a` [b](http://c) &amp; \n# no'


def test_hostile_names_are_text() -> None:
    cell = replace(RUN.closed[0], errors={HOSTILE: 1})
    moments = [replace(moment, phase=HOSTILE) for moment in RUN.moments[:40]]
    environment: dict[str, Any] = {HOSTILE: HOSTILE, "versions": {HOSTILE: HOSTILE}}
    hostile = replace(
        RUN,
        name=HOSTILE,
        url=HOSTILE,
        environment=environment,
        closed=[cell],
        moments=moments,
        faults=[HOSTILE],
        null=None,
        capacities=(),
        open=(),
    )
    seen = _Seen(page.render(hostile, replace(hostile, name="<b>other")))
    assert {"script", "b", "a"}.isdisjoint(tag for tag, _ in seen.tags)
    assert HOSTILE in seen.words
    lines = markdown.render(hostile).splitlines()
    assert not [line for line in lines if "<script" in line or line.startswith("# no")]
    widths = {len(re.findall(r"(?<!\\)\|", line)) for line in lines if "alert" in line and line.startswith("|")}
    assert widths == {3, 4}  # tables of two and of three columns
    assert not [line for line in lines if "[b](" in line]
