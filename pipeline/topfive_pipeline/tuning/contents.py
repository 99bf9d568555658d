"""What is told of a tuning: the verdict in sentences, tables in sections, and the comment in the config.pbtxt."""

from __future__ import annotations

import math
import textwrap
from typing import Final

from topfive_pipeline.judging.tables import NOTHING, Section, Table, figure
from topfive_pipeline.tuning.choosing import BETTER, CHANCE
from topfive_pipeline.tuning.tuned import Tried, Tuned

_MS: Final = 1e3
_WIDTH: Final = 116
"""Characters of a line of the comment."""
LEGEND: Final = (
    "Rate: requests a second at which the objective holds, the median of the rounds; ratio: to the configuration as it "
    "is now, of the same rounds; at most: a closed loop; same label: the share of images whose first label stays."
)
"""What the columns mean."""
RULE: Final = (
    f"A change is written only if, in the last rounds, the median of its ratios to the configuration as it is comes to "
    f"{BETTER:g} or more, and it wins so many of them that chance would do so at most once in {1 / CHANCE:.0f} times "
    "(sign test)."
)
"""When a change counts as better."""


def summary(told: Tuned) -> str:
    """The verdict in a sentence."""
    what = f"'{told.name}' for {told.objective.text}"
    if told.verdict == "unmet":
        return f"{what}: it holds at no rate, whatever is set{_nearest(told)}"
    if told.final is None or told.chosen is None:
        return f"{what}: nothing that was tried is ahead of the configuration as it is, which stays"
    final, chosen = told.final, told.chosen
    won = f"{_times(final.median)} times the rate of what is there, ahead in {final.won} of {len(final.ratios)} rounds"
    if told.verdict == "better":
        return f"{what}: {chosen.setting.title} is better: {won}"
    return f"{what}: {chosen.setting.title} is not clearly better ({won}), so the configuration as it is stays"


def headline(told: Tuned) -> str:
    """The first line of the comment."""
    return f"{told.objective.text}, {told.when:%Y-%m-%d %H:%M} UTC, topfive {told.machine.topfive}"


def evidence(told: Tuned) -> list[str]:
    """The lines of the comment: what was measured, where, and by which rule it was chosen."""
    table = candidates(told)
    cells = [table.columns, *table.rows]
    widths = [max(len(row[place]) for row in cells) for place in range(len(table.columns))]
    rows = [
        "  ".join(cell.ljust(width) if place == 0 else cell.rjust(width) for place, (cell, width) in enumerate(both))
        for both in (list(zip(row, widths, strict=True)) for row in cells)
    ]
    return [
        *textwrap.wrap(f"{summary(told)}.", _WIDTH),
        f"{told.machine.cpu}, {told.machine.cores} cores, ONNX Runtime {told.machine.onnxruntime}.",
        f"{circumstances(told)}.",
        "",
        *rows,
        "",
        *unmeasured(told),
        *textwrap.wrap(LEGEND, _WIDTH),
        *textwrap.wrap(RULE, _WIDTH),
    ]


def unmeasured(told: Tuned) -> list[str]:
    """Why candidates could not be measured."""
    return [f"{each.setting.title}: {' '.join(each.reason.split())}" for each in told.tried if each.reason]


def circumstances(told: Tuned) -> str:
    """How the load was made."""
    where = "on the same cores as the server" if told.cores_shared else "beside the server's cores"
    return f"{told.images} images sent as {told.image}, by a generator {where}; loads of {told.load_seconds:.1f} s"


def candidates(told: Tuned) -> Table:
    """A row for each candidate, the configuration as it is first."""
    columns = ("instances x threads", "rounds", "rate/s", "ratio (quartiles)", "at most/s", "same label", "")
    return Table(columns, tuple(_row(each) for each in told.tried))


def sections(told: Tuned) -> list[Section]:
    """The report."""
    found = [
        Section(
            key="candidates",
            title="What was tried",
            lead=LEGEND,
            tables=(candidates(told),),
            notes=(*told.warnings, *unmeasured(told)),
        )
    ]
    if told.final is not None and told.chosen is not None:
        ratios = tuple((str(number), _times(each)) for number, each in enumerate(told.final.ratios, start=1))
        found.append(
            Section(
                key="final",
                title="The last rounds",
                lead=f"{told.chosen.setting.title}, and the configuration as it is, in turns. {RULE} Here the median "
                f"is {_times(told.final.median)}, and {told.final.won} of {len(told.final.ratios)} were won, which "
                f"chance does in {told.final.chance:.1%} of all cases.",
                tables=(Table(("round", "times as it is"), ratios),),
            )
        )
    if told.objective.limits:
        found.append(
            Section(
                key="latency",
                title=f"p{told.objective.limits[0].percent} against the rate",
                lead="Of each open loop. Latency counts from when a request was due, not from when it could be sent.",
            )
        )
    machine = told.machine
    found.append(
        Section(
            key="circumstances",
            title="Circumstances",
            tables=(
                Table(
                    ("what", "value"),
                    (
                        ("when", f"{told.when:%Y-%m-%d %H:%M} UTC, for {told.seconds:.0f} s"),
                        ("processor", f"{machine.cpu}, {machine.cores} cores used"),
                        ("versions", f"topfive {machine.topfive}, ONNX Runtime {machine.onnxruntime}"),
                        ("load", circumstances(told)),
                        ("file", told.config),
                    ),
                ),
            ),
            notes=tuple(doubts(told)),
        )
    )
    return found


def doubts(told: Tuned) -> list[str]:
    """What a reader should know beside the figures."""
    found = []
    late = sum(bool(point.fault) for each in told.tried for point in each.points)
    if late:
        all_points = sum(len(each.points) for each in told.tried)
        found.append(f"in {late} of {all_points} open loops the generator itself was late, so their rates do not count")
    if told.cores_shared:
        found.append("the generator took a part of the server's cores: with clients elsewhere all rates are higher")
    found.append("instances and threads are for this number of cores: tune again on another machine")
    if told.chosen is not None and told.chosen.agreement is not None and told.chosen.agreement < 1:
        found.append(
            f"of the {told.images} images {told.chosen.agreement:.0%} keep their first label: judge the accuracy by "
            "`topfive evaluate` before you serve it"
        )
    if told.chosen is not None and told.chosen.setting.max_batch_size < told.current.setting.max_batch_size:
        most = told.chosen.setting.max_batch_size
        if told.classifier == told.name:
            found.append(f"with max_batch_size {most} one request may carry {most} images at most")
        else:
            found.append(f"on Triton the ensemble's own max_batch_size may not be above {most}: lower it too")
    return found


def _row(each: Tried) -> tuple[str, ...]:
    spread = NOTHING if each.low is None or each.high is None else f"{_times(each.low)}–{_times(each.high)}"
    return (
        each.setting.title,
        str(each.rounds),
        NOTHING if each.rate is None else figure(each.rate),
        NOTHING if each.ratio is None else f"{_times(each.ratio)} ({spread})",
        NOTHING if each.capacity is None else figure(each.capacity),
        NOTHING if each.agreement is None else f"{each.agreement:.0%}",
        each.fate,
    )


def _times(value: float) -> str:
    return "∞" if math.isinf(value) else f"{value:.2f}"


def _nearest(told: Tuned) -> str:
    """The shortest latency that was seen, for who sets the limit."""
    seen = [point.latency for each in told.tried for point in each.points if point.latency is not None]
    if not seen:
        return ""
    return f" (the shortest p{told.objective.limits[0].percent} that was seen is {min(seen) * _MS:.1f} ms)"
