"""The box on top of a report: what must be known before any figure is read. `contents` puts it there."""

from __future__ import annotations

from collections.abc import Iterator

from loadtests.results import Gap, Run, totals
from topfive_loadgen.tables import percent

_SHOWN = 5  # gaps that are listed; a table has them all


def lines(run: Run) -> list[str]:
    """The loss of the server, answers and errors, shared cores, missed readings; what is not known is left out."""
    return [*_lost(run), *_answers(run), *_sharing(run), *_missed(run)]


def between(began: float, ended: float) -> str:
    """Two times since the run began, such as "2:13–2:16"."""
    first, last = face(began), face(ended)
    return first if first == last else f"{first}–{last}"


def face(seconds: float) -> str:
    """A time as minutes and seconds."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02}"


def _lost(run: Run) -> Iterator[str]:
    if run.lost:
        late = run.lost.said - run.lost.at
        yield (
            f"SERVER LOST at {face(run.lost.at)}: {run.lost.reason}. Known {late:.1f} s later; "
            "all below is what was measured until then"
        )


def _answers(run: Run) -> Iterator[str]:
    all_of = totals(run)
    if all_of.right or all_of.wrong:
        yield (
            f"{all_of.right} right answers, {all_of.wrong} errors ({percent(all_of.error_ratio)} of all below); "
            "throughput and latencies are of right ones only"
        )


def _sharing(run: Run) -> Iterator[str]:
    if run.sharing is None:
        return
    share = run.sharing.share
    took = "" if share is None else f"; of the CPU that both used, the generator took {100 * share:.0f} %"
    yield f"{run.sharing.told}{took}"


def _missed(run: Run) -> Iterator[str]:
    missed = [gap for gap in run.gaps if gap.of == "metrics"]
    count = sum(gap.count for gap in missed)
    if run.scrapes and count == run.scrapes:
        yield f"none of {count} readings of the server's metrics was answered: it has no figures of its own here"
    elif count:
        of = f"{count} of {run.scrapes} readings of the server's metrics"
        yield f"{of} were missed, {_when(missed)}: shaded red in the plot"
    elif run.scrapes:
        yield f"all {run.scrapes} readings of the server's metrics were answered"
    silent = [gap for gap in run.gaps if gap.of == "health"]
    if silent:
        yield f"the server's health did not answer {sum(gap.count for gap in silent)} times, {_when(silent)}"


def _when(gaps: list[Gap]) -> str:
    told = ", ".join(f"{between(gap.began, gap.ended)} ({gap.count})" for gap in gaps[:_SHOWN])
    more = f" and {len(gaps) - _SHOWN} times more" if len(gaps) > _SHOWN else ""
    return f"at {told}{more}"
