"""How often photos, or labels, are asked for in production, and the weight that each photo has by that.

topfive's own log has neither a photo nor its label in it. So the frequencies come from one of three: a list of photos
(CSV `file`, or `file,count`), a list of labels (CSV `label,count`), or the page /metrics of the live service, whose
counter `topfive_labels_total` counts first labels.

What lives here: reading them, and weights. What does not: what is tested with weights (`gating.sign_test`).
"""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from prometheus_client.parser import text_string_to_metric_families

from topfive.ground.drift import MOST_CHARACTERS, NONE, OTHER, group_of
from topfive.ground.errors import ConfigurationError
from topfive_pipeline.gating.answers import Answer, PhotoAnswers
from topfive_pipeline.gating.sign_test import effective_size
from topfive_pipeline.preprocessing.text_files import read_text

COUNTER: Final = "topfive_labels_total"
"""The counter of first labels."""
_OK: Final = 200
_FEW: Final = 0.5
"""Weights that leave less than this share of the photos effective are worth a note."""


@dataclass(frozen=True, slots=True)
class Frequency:
    """How often what was asked: `counts`, above zero, by `file` or by `label`."""

    by: Literal["file", "label"]
    counts: Mapping[str, float]

    @property
    def total(self) -> float:
        return math.fsum(self.counts.values())


@dataclass(frozen=True, slots=True)
class Weights:
    """One for each photo, not negative, with a mean of 1; `notes`: what they leave out."""

    values: tuple[float, ...]
    notes: tuple[str, ...]

    @property
    def effective(self) -> float:
        """How many photos that count alike tell as much."""
        return effective_size(self.values)


def weights_of(path: Path, answers: PhotoAnswers, *, model: str | None = None) -> Weights:
    """The weights of the photos by the frequencies in the file `path`; raises `ConfigurationError`.

    `model`: the live one, for a page of metrics of several.

    By `file`, a photo counts as often as it was asked. By `label`, photos count together as often as the live version's
    first label of theirs was answered, each the same part of it (poststratification: Holt and Smith, J. R. Stat. Soc. A
    142 (1979) 33-46). A photo of which the file says nothing counts for nothing.
    """
    found = read(path, model=model)
    raw, notes = _by_file(found, answers, path) if found.by == "file" else _by_label(found, answers)
    total = math.fsum(raw)
    if not total:
        what = "photo" if found.by == "file" else "label of the live version's answers"
        raise ConfigurationError(f"--frequency {path}: it names no {what}, so nothing could be weighed by it")
    values = tuple(weight * len(raw) / total for weight in raw)
    effective = effective_size(values)
    if effective < _FEW * len(values):
        notes.append(f"By their weights {len(values)} photos tell as much as {effective:.0f} that count alike.")
    return Weights(values, tuple(notes))


def read(path: Path, *, model: str | None = None) -> Frequency:
    """What the file says; raises `ConfigurationError` if it says nothing that can be used."""
    text = read_text(path)
    found = _metrics(text, path, model) if text.lstrip().startswith("#") else _listed(text, path)
    if not found.total:
        raise ConfigurationError(f"--frequency {path}: it counts nothing; the counts must be above zero")
    return found


def _metrics(text: str, path: Path, model: str | None) -> Frequency:
    by_model: dict[str, dict[str, float]] = {}
    try:
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == COUNTER:
                    counts = by_model.setdefault(sample.labels["model"], {})
                    counts[sample.labels["label"]] = _count(sample.value, where=str(path))
    except (ValueError, KeyError) as error:
        raise ConfigurationError(
            f"--frequency {path}: it is no page of metrics of topfive ({error}); save /metrics again"
        ) from error
    if not by_model:
        raise ConfigurationError(f"--frequency {path}: it has no counter {COUNTER}; take it from a live service")
    name = next(iter(by_model)) if len(by_model) == 1 else model
    if name is None or name not in by_model:
        named = ", ".join(sorted(by_model))
        raise ConfigurationError(f"--frequency {path}: it counts labels of {named}, and not of {model or 'one model'}")
    return Frequency("label", {label: count for label, count in by_model[name].items() if count})


def _listed(text: str, path: Path) -> Frequency:
    try:
        reader = csv.DictReader(io.StringIO(text))
        fields = set(reader.fieldnames or ())
        if len(fields & {"file", "label"}) != 1:
            raise ConfigurationError(
                f"--frequency {path}: its first line must name the columns file and count, or label and count, with a "
                "comma between them"
            )
        by: Literal["file", "label"] = "file" if "file" in fields else "label"
        counts: dict[str, float] = {}
        for name, count in _rows(reader, by=by, path=path):
            counts[name] = counts.get(name, 0.0) + count
    except csv.Error as error:
        raise ConfigurationError(f"--frequency {path}: it cannot be read as CSV ({error}); check its quotes") from error
    return Frequency(by, {name: count for name, count in counts.items() if count})


def _rows(reader: csv.DictReader[str], *, by: str, path: Path) -> Iterator[tuple[str, float]]:
    """Each row's name and count, which is one where there is no such column: a log with a line for each request."""
    counted = "count" in (reader.fieldnames or ())
    for line, row in enumerate(reader, start=2):
        where = f"{path}, line {line}"
        if not row[by]:
            raise ConfigurationError(f"--frequency {where}: it names no {by}")
        yield row[by], _count(row["count"], where=where) if counted else 1.0


def _count(said: object, *, where: str) -> float:
    try:
        count = float(str(said))
    except ValueError:
        count = math.nan
    if not 0 <= count < math.inf:
        raise ConfigurationError(f"--frequency {where}: {said!r} is no count; say a number that is not negative")
    return count


def _by_file(found: Frequency, answers: PhotoAnswers, path: Path) -> tuple[list[float], list[str]]:
    """Names are those of files, or the ends of their paths (`cats/1.jpg`)."""
    names = {name: Path(name).parts for name in found.counts}
    places: dict[tuple[str, ...], list[int]] = {}
    for length in sorted({len(parts) for parts in names.values()}):
        for place, photo in enumerate(answers.photos):
            places.setdefault(photo.path.parts[-length:], []).append(place)
    raw, unknown = [0.0] * len(answers.photos), 0.0
    for name, parts in names.items():
        meant = places.get(parts, [])
        if len(meant) > 1:
            raise ConfigurationError(f"--frequency {path}: {name} names several photos; write more of its path")
        if meant:
            raw[meant[0]] += found.counts[name]
        else:
            unknown += found.counts[name]
    return raw, [*_missing(unknown, found, "is of photos that are not among these"), *_unasked(raw)]


def _by_label(found: Frequency, answers: PhotoAnswers) -> tuple[list[float], list[str]]:
    groups = [_group(answer, found.counts) for answer in answers.live]
    photos = Counter(groups)
    given = [None if each is None else found.counts.get(each, 0.0) / photos[each] for each in groups]
    known = [weight for weight in given if weight is not None]
    mean = math.fsum(known) / len(known) if known else 0.0
    raw = [mean if weight is None else weight for weight in given]
    unknown = math.fsum(count for label, count in found.counts.items() if label not in photos)
    notes = [*_missing(unknown, found, "has a label that the live version gives none of these photos"), *_unasked(raw)]
    if refused := len(given) - len(known):
        notes.append(f"{refused} photos that the live version refuses have no label, and are of average weight.")
    return raw, notes


def _group(answer: Answer, counts: Mapping[str, float]) -> str | None:
    """Under which of the counted names the answer is; its own label if under none, and None for a refusal."""
    first = answer.first
    if first is None:
        return NONE if answer.status == _OK else None
    names = (first.label[:MOST_CHARACTERS], group_of(first.index), OTHER)
    return next((name for name in names if name in counts), first.label)


def _missing(count: float, found: Frequency, what: str) -> list[str]:
    return [f"{100 * count / found.total:.0f} % of what was asked {what}."] if count else []


def _unasked(raw: Sequence[float]) -> list[str]:
    unasked = sum(not weight for weight in raw)
    return [f"{unasked} of {len(raw)} photos were not asked in production, and count for nothing."] if unasked else []
