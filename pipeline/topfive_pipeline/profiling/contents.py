"""What is told of a profile: its tables in sections, on the page, in Markdown and on the terminal. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from topfive_pipeline.judging.tables import NOTHING, Section, Table, figure, percent
from topfive_pipeline.profiling.advice import STAGE_NAMES
from topfive_pipeline.profiling.evidence import Evidence, GraphTime, Spent
from topfive_pipeline.profiling.profile import Profile
from topfive_pipeline.profiling.verdict import Finding

TITLE: Final = "Where the time is"
_MS: Final = 1e3
_MB: Final = 1e-6
_ROWS: Final = 10
_DISTURBED: Final = 0.2
"""Of a run's time: beyond that the engine's own timing is felt."""
_GRAPHS: Final = {"inference": "The network by itself", "resize": "The resize graph by itself"}


def sections(told: Profile) -> list[Section]:
    """The report."""
    return [
        _bottleneck(told),
        *_stages(told.evidence),
        *_threads(told.evidence),
        _machine(told.evidence),
        *_functions(told),
        *(_graph(graph, told.evidence) for graph in told.evidence.graphs),
        _circumstances(told),
    ]


def tries(told: Profile) -> list[str]:
    """What to try, numbered."""
    return [f"{place}. {each}" for place, each in enumerate(told.findings[0].tries, start=1)]


def also(finding: Finding) -> str:
    """A finding that is not the first, with the first thing to try for it."""
    return f"Also: {finding.name} ({'; '.join(finding.figures)}): {finding.tries[0]}"


def _bottleneck(told: Profile) -> Section:
    first, *others = told.findings
    return Section(
        key="choice",
        title=first.name,
        lead=". ".join(figure[:1].upper() + figure[1:] for figure in first.figures) + "." * bool(first.figures),
        notes=(*(f"Try {each}" for each in tries(told)), *map(also, others)),
    )


def stage_table(evidence: Evidence) -> Table:
    """A row for each stage of an average request, in their order."""
    stages = evidence.stages
    assert stages is not None
    rows = [
        (STAGE_NAMES[stage], figure(seconds * _MS), percent(seconds / stages.request if stages.request else 0.0))
        for stage, seconds in stages.seconds.items()
    ]
    return Table(("stage", "ms", "%"), (*rows, ("whole request", figure(stages.request * _MS), "100.0")))


def _stages(evidence: Evidence) -> Iterator[Section]:
    stages = evidence.stages
    if stages is None:
        return
    notes = []
    if stages.refused:
        notes.append(f"not answered: {', '.join(f'{count} × {why}' for why, count in stages.refused.items())}")
    yield Section(
        key="stages",
        title="An average request",
        lead="By the service's own metrics, between the two ends of the window; the longest image of a request counts. "
        "The queue holds the waiting for a thread to decode, and for a slot.",
        tables=(stage_table(evidence), _flow(evidence)),
        notes=tuple(notes),
    )


def _flow(evidence: Evidence) -> Table:
    """How much went through, and what stood ready."""
    stages, load = evidence.stages, evidence.load
    assert stages is not None
    rows = [
        ("requests a second", figure(stages.rate)),
        ("images a second", figure(stages.images)),
        ("images in a batch", _number(stages.batch)),
        ("slots busy", _of(stages.slots_busy, stages.slots)),
        ("images waiting for a slot", _number(stages.queued)),
        ("requests in flight", _number(stages.in_flight)),
    ]
    if evidence.usage.cores is not None and stages.images:
        rows.append(("CPU for an image, ms", figure(evidence.usage.cores / stages.images * _MS)))
    if load is not None and load.p50 is not None and load.p99 is not None:
        rows.append(("p50 and p99 at the client, ms", f"{figure(load.p50 * _MS)} and {figure(load.p99 * _MS)}"))
    return Table(("flow", "value"), tuple(rows))


def thread_table(evidence: Evidence) -> Table:
    """A row for each kind of thread."""
    columns = ("threads", "how many", "cores", "busiest", "waits for a core", "switches/s", "of these forced")
    return Table(
        columns,
        tuple(
            (
                role.name,
                str(role.threads),
                f"{role.cpu:.2f}",
                f"{role.busiest:.2f}",
                f"{role.waited / (role.cpu + role.waited):.0%}" if role.cpu + role.waited else NOTHING,
                f"{role.voluntary + role.involuntary:.0f}",
                f"{role.involuntary:.0f}",
            )
            for role in evidence.usage.roles
        ),
    )


def _threads(evidence: Evidence) -> Iterator[Section]:
    if not evidence.usage.roles:
        return
    yield Section(
        key="threads",
        title="CPU by thread",
        lead="By the kernel's own accounts. Cores: CPU seconds a second, of all of them and of the busiest. Waits for "
        "a core: the share of the time in which they could have run and had none. Forced switches: the kernel took the "
        "core from them.",
        tables=(thread_table(evidence),),
    )


def _machine(evidence: Evidence) -> Section:
    used = evidence.usage
    rows = [
        (
            "cores that the service may use, and that the machine has",
            f"{_number(evidence.limit)} and {used.cpus or NOTHING}",
        ),
        ("busy, of these", _share(evidence.fullness)),
        ("taken by the service", _cores(used.cores)),
        ("taken by the load generator", _cores(evidence.load.cpu if evidence.load else None)),
        ("taken by other processes", _cores(evidence.strangers)),
        ("taken by other virtual machines (steal)", _cores(used.steal)),
        ("waiting for disks", _cores(used.waits)),
        ("periods in which the CPU quota held it back", _share(used.throttled)),
        *((f"tasks stood still for {name} (PSI)", _share(share)) for name, share in (used.pressure or {}).items()),
        ("major faults a second", _number(used.major_faults)),
        ("pages a second from swap", _number(used.swapped)),
        ("times at its memory limit", NOTHING if used.memory_events is None else str(used.memory_events)),
        ("memory, MB: resident, and its share of what is shared", f"{_mb(used.resident)}, {_mb(used.proportional)}"),
        ("disks, MB/s: read and written", f"{_mb(used.read_rate)} and {_mb(used.write_rate)}"),
        ("clock, MHz", NOTHING if used.megahertz is None else f"{used.megahertz[0]:.0f} to {used.megahertz[1]:.0f}"),
        ("memory nodes (NUMA)", _nodes(evidence)),
        ("GPU computes", "no GPU" if evidence.gpu is None else _share(evidence.gpu)),
    ]
    return Section(
        key="machine",
        title="The machine",
        lead=f"{NOTHING}: not known here.",
        tables=(Table(("what", "value"), tuple(rows)),),
    )


def _nodes(evidence: Evidence) -> str:
    if evidence.usage.cpus is None:
        return NOTHING
    nodes = evidence.usage.nodes
    return "one" if nodes is None else ", ".join(f"{node}: {share:.0%}" for node, share in nodes.items())


def _functions(told: Profile) -> Iterator[Section]:
    if not told.stacks:
        return
    rows = tuple((each.name, percent(each.own), percent(each.total)) for each in told.functions)
    yield Section(
        key="flame",
        title="What Python does",
        lead=f"py-spy looked 100 times a second for {told.stack_seconds:.0f} s, after the window. The table is of the "
        "event loop's thread, in % of the looks at which it seemed to run: it itself, and with what it calls. py-spy "
        "guesses that, and may count waiting in uvloop (under Runner.run); how much CPU it really takes is in the "
        "table above. Numbers are lines of code.",
        tables=(Table(("function of the event loop", "itself", "in all"), rows),) if rows else (),
    )


def spent_table(title: str, spent: Sequence[Spent]) -> Table:
    """A row for each operator or node."""
    return Table(
        (title, "ms", "%"), tuple((each.name, f"{each.milliseconds:.3f}", percent(each.share)) for each in spent)
    )


def _graph(graph: GraphTime, evidence: Evidence) -> Section:
    lead = (
        f"{graph.file} on {graph.engine} in {graph.precision}, {graph.threads} threads, batches of {graph.batch}, in a "
        f"process of its own after the load: {figure(graph.seconds * _MS)} ms for an image. Nodes are timed by the "
        f"engine, which changes a run by {graph.overhead:+.0%}"
        f"{', so nodes that take little look dearer than they are' if graph.overhead > _DISTURBED else ''}."
    )
    return Section(
        key=graph.title,
        title=_GRAPHS[graph.title],
        lead=lead,
        tables=(spent_table("operator", graph.operators[:_ROWS]), spent_table("node", graph.nodes)),
        notes=tuple(_remarks(graph, evidence)),
    )


def _remarks(graph: GraphTime, evidence: Evidence) -> Iterator[str]:
    stages = evidence.stages
    alone = graph.seconds * graph.batch * _MS
    if graph.title == "inference" and stages is not None and alone:
        batch = stages.seconds["inference"] * _MS
        yield (
            f"in the service a batch took {figure(batch)} ms, {batch / alone:.1f} times as long as {figure(alone)} ms "
            "by itself: what is above 1 is waiting for cores, and for memory that others use"
        )
    roof = graph.roof
    if roof is None:
        return
    nearer = "computing" if roof.of_flops >= roof.of_copied else "memory"
    yield (
        f"{roof.macs / 1e6:.0f} million multiplications and {figure(roof.moved * _MB)} MB for an image: "
        f"{roof.of_flops:.0%} of the {figure(roof.flops / 1e9)} billion operations a second of a product of matrices, "
        f"and {roof.of_copied:.0%} of the {figure(roof.copied / 1e9)} GB/s of a copy, both measured here. So {nearer} "
        "is the nearer limit, if either is. This is rough, within a factor of two: caches are left out, and "
        "convolutions never reach the peak of a product"
    )


def _circumstances(told: Profile) -> Section:
    machine = told.machine
    return Section(
        key="circumstances",
        title="Circumstances",
        tables=(
            Table(
                ("what", "value"),
                (
                    ("when", f"{told.when:%Y-%m-%d %H:%M} UTC, a window of {told.seconds:g} s"),
                    ("load", told.load or "what others sent"),
                    ("processor", f"{machine.cpu}, {machine.cores} cores"),
                    ("versions", f"topfive {machine.topfive}, ONNX Runtime {machine.onnxruntime}"),
                ),
            ),
        ),
        notes=told.unknown,
    )


def _number(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.0f}" if value == round(value) else figure(value)


def _of(value: float | None, whole: float | None) -> str:
    return NOTHING if value is None or whole is None else f"{value:.1f} of {whole:.0f}"


def _share(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.0%}"


def _cores(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.2f} cores"


def _mb(value: float | None) -> str:
    return NOTHING if value is None else f"{value * _MB:.0f}" if value >= 1e7 else f"{value * _MB:.1f}"
