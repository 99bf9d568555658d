"""The sections of a judgement in their order, for terminal, Markdown and HTML alike: tables, and what they mean."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from topfive_pipeline.judging.accuracy import POINTS, Difference
from topfive_pipeline.judging.intervals import Interval
from topfive_pipeline.judging.judge import Judgement
from topfive_pipeline.judging.limits import MB, MS, Choice
from topfive_pipeline.judging.results import Judged, short_names
from topfive_pipeline.judging.speed import ALONE, Pace
from topfive_pipeline.judging.tables import NOTHING, Section, Table, figure, percent, rounded, signed


def sections(judgement: Judgement) -> list[Section]:
    """All sections of a judgement."""
    return [
        *_chosen(judgement),
        _accuracy(judgement),
        *_differences(judgement),
        *_speed(judgement),
        _footprint(judgement),
        _circumstances(judgement),
    ]


def summary(judgement: Judgement) -> str:
    """Who is judged on what, in a line."""
    half = "" if judgement.part == "all" else ", the half that never calibrates"
    names = ", ".join(model.title for model in judgement.models[1:])
    against = f"{names} against {judgement.models[0].title}" if names else judgement.models[0].title
    return f"{against}, on {judgement.photos} photos{half}"


def _chosen(judgement: Judgement) -> Iterator[Section]:
    choice, limits = judgement.choice, judgement.limits
    if choice is None:
        return
    shown: list[tuple[str, float | None, Callable[[Judged], str]]] = [
        ("top-1, points", limits.loss, lambda model: signed(_points(model), 2)),
        ("alone, ms", limits.ms, lambda model: "" if model.alone is None else figure(model.alone.seconds.median * MS)),
        ("memory, MB", limits.mb, lambda model: figure(model.footprint.memory_bytes * MB)),
    ]
    asked = [(title, cell) for title, limit, cell in shown if limit is not None]
    what, names = short_names(judgement.models)
    rows = tuple(
        (
            name,
            *(cell(model) for _, cell in asked),
            _verdict(choice, model.title),
        )
        for name, model in zip(names, judgement.models, strict=True)
    )
    yield Section(
        key="choice",
        title="What remains",
        lead=choice.sentence,
        tables=(Table((what, *(title for title, _ in asked), "within the limits"), rows),),
    )


def _verdict(choice: Choice, title: str) -> str:
    if title in choice.out:
        return f"✗ {choice.out[title]}"
    return "✓ the best" if title == choice.best else "✓"


def _accuracy(judgement: Judgement) -> Section:
    rows = []
    what, names = short_names(judgement.models)
    for name, model in zip(names, judgement.models, strict=True):
        found = model.accuracy
        five = (NOTHING, "") if found.top_5 is None else (percent(found.top_5.share), _between(found.top_5.interval))
        rows.append((name, percent(found.top_1.share), _between(found.top_1.interval), *five, f"{found.loss:.3f}"))
    return Section(
        key="accuracy",
        title="Accuracy",
        lead="95 %: where the share lies that all photos like these would get; from the posterior of the errors, "
        "Beta(errors + 1, right + 1). Loss: mean of −log of the true class' probability, in nats.",
        tables=(Table((what, "top-1, %", "95 %", "top-5, %", "95 %", "loss"), tuple(rows)),),
    )


def _differences(judgement: Judgement) -> Iterator[Section]:
    what, names = short_names(judgement.models)
    compared = [
        (name, model.difference)
        for name, model in zip(names, judgement.models, strict=True)
        if model.difference is not None
    ]
    if not compared:
        return
    answers = [
        (
            name,
            signed(found.top_1 * POINTS, 2),
            f"[{signed(found.interval.low * POINTS, 2)}, {signed(found.interval.high * POINTS, 2)}]",
            f"{signed(found.relative * POINTS, 2)} %",
            f"{found.lost} / {found.won}",
        )
        for name, found in compared
    ]
    changes = [
        (
            name,
            f"{signed(found.loss, 4)} ± {found.loss_error:.4f}",
            percent(found.agreement),
            f"{found.mean_change:.3f}",
            f"{found.largest_change:.3f}",
        )
        for name, found in compared
    ]
    yield Section(
        key="difference",
        title=f"Against {names[0]}",
        lead="Top-1 in points; below 0 is worse. Its interval of 95 % is of paired answers (Bonett and Price 2012): "
        "only photos count that one of the two lost or won. Loss in nats, above 0 is worse. Agreement: the same first "
        "label. |Δp|: of each photo the largest change of a probability.",
        tables=(
            Table((what, "top-1", "95 %", "relative", "lost / won"), tuple(answers)),
            Table((what, "loss ± error", "agreement, %", "mean |Δp|", "largest |Δp|"), tuple(changes)),
        ),
        notes=tuple(_decided(name, found, judgement) for name, found in compared),
    )


def _decided(name: str, found: Difference, judgement: Judgement) -> str:
    """What these photos decide, and how many would decide the rest."""
    first = short_names(judgement.models)[1][0]
    said = [
        _decision(
            found.decides_sign,
            judgement.photos,
            decided=f"it is {'worse' if found.top_1 < 0 else 'better'} than {first}",
            question=f"it is worse or better than {first}",
        )
    ]
    budget = judgement.limits.loss
    if budget is not None:
        within = "no more" if found.top_1 * POINTS >= -budget else "more"
        said.append(
            _decision(
                found.decides_budget,
                judgement.photos,
                decided=f"it loses {within} than {budget:g} points",
                question=f"it loses more than {budget:g} points",
            )
        )
    return f"{name}: {'; '.join(said)}."


def _decision(needed: int | None, photos: int, *, decided: str, question: str) -> str:
    if needed is None:
        return f"no number of photos like these would tell whether {question}"
    if needed <= photos:
        return f"these photos tell that {decided}"
    return f"about {rounded(needed)} photos like these would tell whether {question}"


def _speed(judgement: Judgement) -> Iterator[Section]:
    models = judgement.models
    if not models[0].paces:
        return
    what, names = short_names(models)
    titles = [_case(pace) for pace in models[0].paces]
    nothing = [(each.way, *[NOTHING] * len(titles)) for each in judgement.missing]
    ratios = [(name, *map(_ratio, model.paces)) for name, model in zip(names, models, strict=True)]
    own = [(name, *map(_own, model.paces)) for name, model in zip(names, models, strict=True)]
    tables = [Table((what, *titles), (*own, *nothing))]
    if len(models) > 1:
        tables.insert(0, Table((f"times as fast as {names[0]}", *titles), (*ratios[1:], *nothing)))
    slots = "one batch at a time" if judgement.slots == 1 else f"{judgement.slots} batches side by side, one a slot"
    few = {_case(pace): len(pace.rounds) for pace in models[0].paces if len(pace.rounds) < judgement.rounds}
    fewer = [
        f"{case}: {rounds} rounds rather than {judgement.rounds}, for they take long" for case, rounds in few.items()
    ]
    yield Section(
        key="speed",
        title="Speed",
        lead=f"Median of {judgement.rounds} rounds, in each of which every model runs in turn, and the middle "
        f"half of them. Alone: one photo after another through resize graph and network, on all "
        f"{judgement.machine.cores} cores, without decoding. Batches: crops, {slots}, as the server runs them.",
        tables=tuple(tables),
        notes=(*fewer, *_missing(judgement)),
    )


def _missing(judgement: Judgement) -> tuple[str, ...]:
    return tuple(f"{each.way}: {each.why}" for each in judgement.missing)


def _case(pace: Pace) -> str:
    return "alone" if pace.case == ALONE else pace.case


def _ratio(pace: Pace) -> str:
    ratio = pace.ratio
    return f"{ratio.median:.2f} ({ratio.low:.2f}–{ratio.high:.2f})"


def _own(pace: Pace) -> str:
    """Milliseconds for one alone, images a second for batches."""
    seconds = pace.seconds
    if pace.case == ALONE:
        return f"{figure(seconds.median * MS)} ms ({figure(seconds.low * MS)}–{figure(seconds.high * MS)})"
    return f"{figure(1 / seconds.median)}/s ({figure(1 / seconds.high)}–{figure(1 / seconds.low)})"


def _footprint(judgement: Judgement) -> Section:
    first = judgement.models[0].footprint
    what, names = short_names(judgement.models)
    rows = []
    for name, model in zip(names, judgement.models, strict=True):
        found = model.footprint
        rows.append(
            (
                name,
                f"{found.size_bytes * MB:.1f}",
                f"{found.size_bytes / first.size_bytes:.2f}",
                f"{found.load_seconds:.2f}",
                f"{found.memory_bytes * MB:.0f}",
                f"{found.memory_bytes / first.memory_bytes:.2f}",
            )
        )
    return Section(
        key="footprint",
        title="Size, load, memory",
        lead="Load and memory: medians of three processes, each of which opens all sessions as the server does; memory "
        "is by how much such a process has grown when it has answered one image. ×: of the first model's.",
        tables=(Table((what, "on disk, MB", "×", "load, s", "memory, MB", "×"), tuple(rows)),),
    )


def _circumstances(judgement: Judgement) -> Section:
    machine = judgement.machine
    openvino = f", OpenVINO {machine.openvino}" if any(one.engine == "openvino" for one in judgement.models) else ""
    return Section(
        key="circumstances",
        title="Circumstances",
        tables=(
            Table(
                ("what", "value"),
                (
                    ("processor", f"{machine.cpu}, {machine.cores} cores used"),
                    ("versions", f"topfive {machine.topfive}, ONNX Runtime {machine.onnxruntime}{openvino}"),
                    ("photos", f"{judgement.photos}, {'all' if judgement.part == 'all' else 'the judging half'}"),
                    ("their SHA-256", judgement.fingerprint[:16]),
                ),
            ),
        ),
        notes=(*judgement.warnings, *(() if judgement.models[0].paces else _missing(judgement))),
    )


def _points(model: Judged) -> float:
    return 0.0 if model.difference is None else model.difference.top_1 * POINTS


def _between(interval: Interval) -> str:
    return f"[{percent(interval.low)}, {percent(interval.high)}]"
