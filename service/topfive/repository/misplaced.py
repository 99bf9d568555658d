"""Advice about misplaced files and folders in a model repository: what to rename or move so that they are found."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from typing import Final

from topfive.ground.next_steps import import_advice, import_command
from topfive.repository.entries import Entries, LeftOut, read_entries, shown

CONFIG: Final = "config.pbtxt"
_NEARLY_CONFIG: Final = re.compile(r"config\.(pbtxt|pbtx|pbtext|pb\.txt|prototxt|txt|textproto)(\.\w+)?", re.IGNORECASE)
_NUMBER: Final = re.compile(r"\D*?0*([1-9]\d*)(\.0+)?\D*")
_FRAMEWORKS: Final = (".pt", ".pth", ".ckpt", ".safetensors", ".h5", ".keras", ".pb", ".tflite", ".joblib", ".pkl")
"""How the names of the files end in which frameworks keep models."""
_LOOKED_INTO: Final = 20
"""The most folders that are searched for a misplaced file: a message is not worth more."""


def is_version(name: str) -> bool:
    """Whether a folder with this `name` is a version."""
    return name.isascii() and name.isdigit() and not name.startswith("0")


def why_no_model(folder: Path, entries: Entries) -> LeftOut:
    """Why `folder`, which has no config.pbtxt, is not a model."""
    if near := [name for name in entries.files if _NEARLY_CONFIG.fullmatch(name)]:
        return LeftOut(f"it has no {CONFIG}; {_rename(folder, near[0], CONFIG)}", suspect=True)
    for name in entries.folders[:_LOOKED_INTO]:
        if CONFIG in _files(folder / name):
            if is_version(name):
                what = f"move '{shown(folder / name / CONFIG)}' to '{shown(folder / CONFIG)}'"
                return LeftOut(f"it has no {CONFIG}; {what}", suspect=True)
            return LeftOut(
                f"it has no {CONFIG}, but holds the model '{shown(name)}': move that one level up, or set "
                f"TOPFIVE_MODEL_REPOSITORY to '{shown(folder)}'",
                suspect=True,
            )
    if graphs := _graphs_of(folder, entries):
        what = f"write one, as docs/settings.md says; or, {import_advice(shown(graphs[0]))}"
        return LeftOut(f"it has no {CONFIG}; {what}", suspect=True)
    if any(is_version(name) for name in entries.folders):
        return LeftOut(f"it has no {CONFIG}, and no graph; run the export again, then {import_command()}", suspect=True)
    if advice := _of_a_framework(folder, entries):
        return LeftOut(f"it has no {CONFIG}; {advice}", suspect=True)
    return LeftOut(f"it has no {CONFIG}, so it is no model", suspect=False)


def why_no_folder(path: Path) -> LeftOut:
    """Why the file at `path`, beside the models, is none."""
    what = "it is a file, and models are folders"
    if path.suffix.lower() != ".onnx":
        return LeftOut(what, suspect=False)
    return LeftOut(f"{what}; {import_advice(shown(path))}", suspect=True)


def how_to_get_a_model(folder: Path, entries: Entries) -> str:
    """What to do with the repository `folder`, which holds no model, by the files in it."""
    if CONFIG in entries.files:
        return "it is the folder of a model: set TOPFIVE_MODEL_REPOSITORY to the folder above it"
    return _of_a_framework(folder, entries) or f"{import_command()} writes a model into a repository"


def how_to_get_a_repository(path: Path) -> str:
    """What to do where `path`, which should be a model repository, is no folder that can be read."""
    if path.suffix.lower() == ".onnx" and path.is_file():
        return f"it is a file: {import_command(shown(path))} makes a servable model of it, in a repository"
    return "set TOPFIVE_MODEL_REPOSITORY to a folder of models"


def why_no_version(name: str, beside: Collection[str]) -> LeftOut:
    """Why a model's folder `name` is not a version; the other folders `beside` it may have the right name already."""
    number = _NUMBER.fullmatch(name)
    if number and name.isascii() and number[1] not in beside:
        return LeftOut(f"it is no version, for versions are plain numbers: rename it to '{number[1]}'", suspect=True)
    return LeftOut("it is no version, for versions are plain numbers", suspect=False)


def how_to_get_a_version(folder: Path, entries: Entries, filename: str) -> str:
    """What to do so that the model in `folder`, which has no version folder, gets one."""
    for name in entries.folders:
        if name.isascii() and (number := _NUMBER.fullmatch(name)):
            return _rename(folder, name, number[1])
    if graphs := _graphs(entries.files, filename):
        return f"move '{shown(folder / graphs[0])}' to '{shown(folder / '1' / filename)}'"
    return f"put the graph at '{shown(folder / '1' / filename)}'"


def how_to_get_a_graph(path: Path) -> str:
    """What to do so that there is a graph at `path`, where it is missing."""
    folder, filename = path.parent, path.name
    try:
        entries, beside = read_entries(folder), read_entries(folder.parent)
    except OSError:
        return "let the service's user read its folder"
    if filename in entries.left_out:
        return entries.left_out[filename].reason
    if filename in entries.folders:
        inside = _graphs(_files(path), filename)
        if inside:
            return f"it is a folder; move '{shown(path / inside[0])}' out of it, to be '{shown(path)}'"
        return "it is a folder, not a file"
    graphs = _graphs(entries.files, filename)
    if len(graphs) > 1 and not _alike(graphs[0], filename):
        names = ", ".join(f"'{shown(name)}'" for name in graphs[:5])
        return f"of {names}, rename one to '{filename}', or name it as default_model_filename in config.pbtxt"
    if graphs:
        return (
            f'{_rename(folder, graphs[0], filename)}, or set default_model_filename to "{shown(graphs[0])}" in '
            "config.pbtxt"
        )
    for other in (folder.parent, *(folder / name for name in entries.folders[:_LOOKED_INTO])):
        found = _graphs(beside.files if other == folder.parent else _files(other), filename)
        if found:
            return f"move '{shown(other / found[0])}' to '{shown(path)}'"
    nothing = "" if entries.files or entries.folders else "its folder is empty; "
    return f"{nothing}put the graph there (run the export), or choose another version by version_policy"


def _graphs_of(folder: Path, entries: Entries) -> list[Path]:
    """The graphs in a model's `folder`: those in its versions, the newest first, then those beside them."""
    versions = sorted((name for name in entries.folders if is_version(name)), key=int, reverse=True)
    inside = [folder / name / file for name in versions[:_LOOKED_INTO] for file in _graphs(_files(folder / name))]
    return [*inside, *(folder / name for name in _graphs(entries.files))]


def _of_a_framework(folder: Path, entries: Entries) -> str:
    """What to do with a file in which a framework keeps a model; empty if there is none."""
    found = [name for name in entries.files if name.lower().endswith(_FRAMEWORKS)]
    if not found:
        return ""
    command = import_command()
    return f"export the model in '{shown(folder / found[0])}' to ONNX, then {command} makes a servable model of it"


def _graphs(names: tuple[str, ...], wanted: str = "model.onnx") -> list[str]:
    """The `names` that may be the graph's, the likeliest first."""
    likely = [name for name in names if _alike(name, wanted) or name.lower().endswith(".onnx")]
    return sorted(likely, key=lambda name: (name != wanted, not _alike(name, wanted), name))


def _alike(name: str, wanted: str) -> bool:
    """Whether `name` differs from `wanted` only in its case, or in an extra or missing ending."""
    name, wanted = name.lower(), wanted.lower()
    return name == wanted or name.startswith(f"{wanted}.") or f"{name}.onnx" == wanted


def _files(folder: Path) -> tuple[str, ...]:
    try:
        return read_entries(folder).files
    except OSError:
        return ()


def _rename(folder: Path, name: str, to: str) -> str:
    return f"rename '{shown(folder / name)}' to '{shown(folder / to)}'"
