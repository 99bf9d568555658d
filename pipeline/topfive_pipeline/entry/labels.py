"""Reads the names of a network's classes from the files in which people have them, and holds them to the network.

What lives here: which file is what, and the checks. What does not: the tables in these files (`entry.label_tables`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.entry.label_tables import Table, from_columns, from_numbered, from_object, in_order
from topfive_pipeline.preprocessing.text_files import read_json, read_text

_PLACEHOLDER: Final = re.compile(r"LABEL_\d+")
"""What Hugging Face writes where nobody has given names."""
_NUMBERED: Final = re.compile(r"(\d+)[\s:,;.)-]+(\S.*)", re.ASCII)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""Also what ends a line in Unicode, for labels.txt has a line for each, and halves of characters, from JSON."""


IMAGENET: Final = Path(__file__).with_name("imagenet-1k.txt")
"""The names of the 1000 classes of ImageNet-1k, as in the model that comes with topfive."""


def read_labels(path: Path) -> list[str]:
    """The names of the classes in the order of their numbers, from the file at `path`, by its ending.

    - `.json`: a list; an object of number to name or name to number; one that holds such as `id2label`, `label_names`
      or the like, as Hugging Face's and timm's `config.json` do.
    - `.csv`, `.tsv`: a column of numbers and one of names, with or without a heading line; or one column.
    - all else: one name a line, the first of class 0; each may begin with its own number.

    Raises `ConfigurationError` if it cannot be read, numbers are missing or twice, or a name is empty.
    """
    ending = path.suffix.lower()
    if ending == ".json":
        content = read_json(path)
        if (found := _of_json(content, path)) is None:
            raise ConfigurationError(
                f'{path}: it has no names of classes: say a list, or an object such as {{"0": "cat", "1": "dog"}}'
            )
        return found
    text = read_text(path)
    if ending in (".csv", ".tsv"):
        return _checked(from_columns(text, path), path)
    if text.lstrip().startswith(("{", "[")):
        raise ConfigurationError(
            f"{path}: it begins with '{text.lstrip()[0]}', as a list or dictionary in a program does; save it as JSON, "
            "in a .json, or with one name a line"
        )
    return _checked(_of_lines(text, path), path)


def served_labels(path: Path) -> list[str] | None:
    """The lines of a served model's labels.txt, as they are; None if it has none. Raises `ConfigurationError`."""
    return read_text(path).rstrip("\n").split("\n") if path.exists() else None


def labels_in(source: str | Path) -> list[str] | None:
    """The names in a JSON file that was named for its preprocessing: `id2label`, `label_names`; None if it has none.

    In the folder of a file without names, or in the folder that was named, `config.json` may have them. Names that
    Hugging Face made up (`LABEL_0`) count as none, and `source` may be the name of weights, which has none. Raises
    `ConfigurationError` for names with gaps.
    """
    path = Path(source)
    for file in _places(path):
        if (found := _names_beside(file)) is not None:
            return found
    return None


def _places(path: Path) -> list[Path]:
    """The files that may have names; none if `path` is not even possible as one, which its reader says."""
    try:
        folder = path if path.is_dir() else path.parent
        return [file for file in (path, folder / "config.json") if file.is_file()]
    except OSError:
        return []


def _names_beside(path: Path) -> list[str] | None:
    content = read_json(path)
    if not isinstance(content, Mapping):
        return None
    found = _of_json({name: content[name] for name in _HOLDERS if name in content}, path)
    return None if found is None or all(map(_PLACEHOLDER.fullmatch, found)) else found


def doubts(labels: Sequence[str]) -> list[str]:
    """Full sentences about names that are possible, but look like a mistake: equal ones, and placeholders."""
    found = []
    uses = Counter(label.casefold() for label in labels)
    equal = [label for label in dict.fromkeys(labels) if uses[label.casefold()] > 1]
    if equal:
        numbers = [str(number) for number, label in enumerate(labels) if label.casefold() == equal[0].casefold()]
        count = len([1 for count in uses.values() if count > 1])
        found.append(
            f"{count} {'name stands' if count == 1 else 'names stand'} for more than one class: '{equal[0]}' for "
            f"{', '.join(numbers)}. Clients tell them apart by index only."
        )
    if labels and all(map(_PLACEHOLDER.fullmatch, labels)):
        found.append("The names are placeholders, LABEL_0 and so on: name the file with the real ones.")
    return found


def check_count(labels: Sequence[str], classes: int, *, source: str) -> None:
    """Raise `ConfigurationError` unless there are as many `labels`, from `source`, as the network has `classes`."""
    count = len(labels)
    if count == classes:
        return
    message = f"the network puts out {classes} {'class' if classes == 1 else 'classes'}, {source} names {count}"
    if classes == count + 1:
        advice = (
            "is there a background class? Then put its name first (or where the training had it), in a line of its own"
        )
    elif classes == count - 1:
        advice = f"is '{labels[0]}' a heading or a background class that the network does not have? Then remove it"
    else:
        advice = "is it the file of another network?"
    raise ConfigurationError(f"{message}; {advice}")


_HOLDERS: Final = ("id2label", "label_names", "pretrained_cfg", "labels", "classes", "class_names", "names", "label2id")
"""Where an object keeps the names among other things, the best first."""


def _of_json(content: Any, path: Path) -> list[str] | None:
    if isinstance(content, list):
        return _checked(Table(dict(enumerate(content))), path)
    if not isinstance(content, Mapping):
        return None
    for name in _HOLDERS:
        inner: Any = content.get(name)
        if isinstance(inner, Mapping | list):
            if name == "pretrained_cfg" and isinstance(inner, Mapping):
                found = _of_json(
                    {key: inner[key] for key in ("label_names", "label_descriptions") if key in inner}, path
                )
            elif name == "label_names" and isinstance(inner, list):
                found = _described(inner, content.get("label_descriptions"), path)
            else:
                found = _of_json(inner, path)
            if found is not None:
                return found
    table = from_object(content, path)
    return None if table is None else _checked(table, path)


def _described(names: Sequence[Any], descriptions: Any, path: Path) -> list[str]:
    """The names in timm's files, which are synsets for ImageNet; the descriptions instead where each has one."""
    if isinstance(descriptions, Mapping) and all(
        isinstance(name, str) and isinstance(descriptions.get(name), str) for name in names
    ):
        names = [descriptions[name] for name in names]
    return _checked(Table(dict(enumerate(names))), path)


def _of_lines(text: str, path: Path) -> Table:
    lines = text.rstrip().split("\n")
    matches = [_NUMBERED.fullmatch(line.strip()) for line in lines]
    if len(lines) > 1 and all(match and int(match[1]) == number for number, match in enumerate(matches)):
        return from_numbered([(match[1], match[2]) for match in matches if match], path)
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            raise ConfigurationError(
                f"{path}: line {number} is empty; each line is the name of a class: write it there, or remove the line"
            )
    return Table(dict(enumerate(lines)))


def _checked(table: Table, path: Path) -> list[str]:
    labels = []
    for number, value in enumerate(in_order(table, path)):
        name = value[-1] if isinstance(value, list) and value else value  # [synset, name] in Keras' class index
        if not isinstance(name, str | int | float) or not (label := str(name).strip()):
            raise ConfigurationError(f"{path}: class {number} has no name, or an empty one; write it there")
        if _CONTROL.search(label):
            raise ConfigurationError(f"{path}: the name of class {number} has a control character in it; remove it")
        labels.append(label)
    return labels
