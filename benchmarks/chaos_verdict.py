"""The checks of a chaos run. Pure: no clock, no process, no file."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.mix import RIGHT, Judged
from benchmarks.prober import Probe
from benchmarks.samples import Held
from benchmarks.wire import CLOSED, LEFT, RESET
from topfive_loadgen import tables, verdict
from topfive_loadgen.percentiles import percentile_of
from topfive_loadgen.verdict import Check

HEALTH_SECONDS = 0.050
"""The aim for the answers of health probes; only reported, because other programs share the machine."""
HEALTH_BOUND_SECONDS = 0.5  # limit on their p99, which a busy machine keeps, but a blocked event loop does not
CATCH_UP_SECONDS = 0.1  # grace after a pause of the process
MEMORY_SHARE, MEMORY_SLACK_MB = 0.10, 24.0  # allowed growth after the warm-up: an allocator varies
RIGHT_LEAST = 0.5  # least share of right answers to well-behaved clients; the rest may be refused

# The allowed answers of kinds that send good requests, or that must be answered in one way.
BY_DESIGN = {"429", "503", "504"}
GRPC_BY_DESIGN = {"RESOURCE_EXHAUSTED", "UNAVAILABLE", "DEADLINE_EXCEEDED"}
DECODED = {"200", "413", "422"} | BY_DESIGN
CUT = {CLOSED, RESET}
ONLY: Mapping[str, set[str]] = {
    "chunked, good": {"200"} | BY_DESIGN,
    "pipelined, good": {"200"} | BY_DESIGN,
    "beside poison, good": {"200"} | BY_DESIGN,
    "poison": {"500"} | BY_DESIGN,
    "trailers without end": {"400", "431"} | CUT,
    "trailers like headers, good": {"200"} | BY_DESIGN,
    "chunks of a byte, good": {"200", "408"}
    | BY_DESIGN,  # each chunk costs more than its byte, so the request may be too slow
    "long chunk extensions": {"400", "431"} | CUT,
    "form without end": {"400", "413"} | BY_DESIGN | CUT,
    "all but a byte": {"408", LEFT} | BY_DESIGN | CUT,
    "no Host, or two": {"400"},
    "another site's page": {"403"},
    "JPEG of many scans": DECODED,
    "WebP of one colour": DECODED,
    "PNG on its side": DECODED,
    "JPEG of fill bytes": DECODED,
    "gRPC: idle connections": {LEFT},
    "gRPC: calls without a message": {LEFT} | GRPC_BY_DESIGN,
    "gRPC: spoilt message": {"INVALID_ARGUMENT", "NOT_FOUND"} | GRPC_BY_DESIGN,
    "gRPC: good": {"OK"} | GRPC_BY_DESIGN,
}
ALLOWED = re.compile(rf"[24]\d\d|503|504|{CLOSED}|{RESET}|{LEFT}")

# The log must not hold these: errors behind the answers.
LOG_SIGNS = (b"never retrieved", b"Exception in ASGI", b"Exception in callback", b"was never awaited", b"Fatal Python")


@dataclass(frozen=True, slots=True)
class Health:
    """The probes outside the pauses: their times, and how many were within the aim."""

    seconds: Sequence[float]
    unanswered: int

    @property
    def within_aim(self) -> float:
        return sum(one <= HEALTH_SECONDS for one in self.seconds) / len(self.seconds)

    def line(self) -> str:
        """The distribution as a line."""
        if not self.seconds:
            return "no probe outside the pauses"
        ms = [one * 1e3 for one in self.seconds]
        p50, p90, p99 = (percentile_of(ms, percent) for percent in (50, 90, 99))
        return (
            f"{len(ms)} probes: p50 {p50:.1f}, p90 {p90:.1f}, p99 {p99:.1f}, longest {max(ms):.1f} ms; "
            f"{self.within_aim:.1%} within {HEALTH_SECONDS * 1e3:.0f} ms"
        )


def health(probes: Sequence[Probe], pauses: Sequence[tuple[float, float]]) -> Health:
    """The probes that no pause of the process delayed."""
    free = [
        probe
        for probe in probes
        if not any(
            stopped <= probe.began + probe.seconds and probe.began <= resumed + CATCH_UP_SECONDS
            for stopped, resumed in pauses
        )
    ]
    return Health([probe.seconds for probe in free], sum(probe.status != 200 for probe in free))


def answers_check(outcomes: Mapping[str, Mapping[str, int]]) -> Check:
    """Each kind got only answers that it may get."""
    return verdict.none_of(
        "answers that no client may get",
        [
            f"{kind}: {count} × {word}"
            for kind, words in outcomes.items()
            for word, count in words.items()
            if not (word in ONLY[kind] if kind in ONLY else ALLOWED.fullmatch(word))
        ],
    )


def behaved_checks(judged: Judged) -> list[Check]:
    """Well-behaved clients got right answers or honest refusals."""
    total = sum(sum(counts.values()) for counts in judged.counts.values())
    right = sum(counts.get(RIGHT, 0) for counts in judged.counts.values())
    return [
        verdict.none_of("well-behaved: wrong", judged.wrong),
        verdict.none_of("well-behaved: no answer", judged.lost),
        verdict.at_least("well-behaved: share right, the rest refused", right / max(1, total), RIGHT_LEAST),
    ]


def held_checks(warm: Held, after: Held, *, idle: Held, slack_mb: float) -> list[Check]:
    """At the end the service holds no more memory than after the warm-up, and no more files and threads than idle."""
    limit = warm.resident_bytes / 1e6 * (1 + MEMORY_SHARE) + slack_mb
    return [
        verdict.at_most("resident memory at the end", after.resident_bytes / 1e6, round(limit), unit="MB"),
        verdict.at_most("open files at the end", after.open_files, idle.open_files),
        verdict.at_most("threads at the end", after.threads, idle.threads),
    ]


def health_checks(seen: Health) -> list[Check]:
    """The service answered every probe, and soon."""
    p99 = percentile_of(seen.seconds, 99)  # nan if there are no probes, which fails the check
    return [
        verdict.at_most("health probes not answered 200", seen.unanswered, 0),
        verdict.at_most("health, p99", p99 * 1e3, HEALTH_BOUND_SECONDS * 1e3, unit="ms"),
    ]


def log_check(log: bytes) -> Check:
    """The log has no unexpected errors."""
    return verdict.none_of(
        "signs of trouble in the log",
        [line.decode(errors="replace")[:500] for line in log.splitlines() if any(sign in line for sign in LOG_SIGNS)],
    )


def markdown(outcomes: Mapping[str, Mapping[str, int]]) -> str:
    """A table of the answers of each kind and their numbers."""
    lines = [
        (kind, str(sum(words.values())), ", ".join(f"{word} × {count}" for word, count in sorted(words.items())))
        for kind, words in outcomes.items()
    ]
    return tables.markdown(tables.of([("what clients did", "times", "what they were answered"), *lines]))
