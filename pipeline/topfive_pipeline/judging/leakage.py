"""Refuses photos that had a part in making a model and shall judge it: a graph says by hashes which those are.

What lives here: what is written into a graph's `metadata_props`, and the comparison. What does not: which photos should
do what (`judging.split`).

A photo is known by the SHA-256 of its file, so a copy under another name is found. One that was encoded anew, resized
or cropped is another file, and no hash of the content can know it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import onnx

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.entry.provenance import properties_of
from topfive_pipeline.judging.split import digest_of
from topfive_pipeline.judging.subjects import Subject
from topfive_pipeline.proof.photos import Photo

Role = Literal["train", "calibrate", "choose"]
"""What photos do in making a model: its weights, the ranges of its integers, or the choice between several."""

PREFIX: Final = "photos."
"""Of the names of the properties, one for each role, that list the photos' hashes."""
_DONE: Final[Mapping[Role, str]] = {"train": "trained", "calibrate": "calibrated", "choose": "chose"}
_DIGITS: Final = 16
"""Of a hash in a graph, in hexadecimal: 64 bits tell millions of photos apart, and 128 of them take 2 kB."""
_CALIBRATED: Final = "int8.calibration.sha256"
"""What graphs say that were optimised before they listed their photos."""
_NAMED: Final = 3


@dataclass(frozen=True, slots=True)
class Leak:
    """Photos that did something for the model `title`, and are to judge it."""

    title: str
    role: Role
    photos: tuple[Photo, ...]

    def said(self) -> str:
        """`3 that calibrated pets:2 (a.jpg, b.jpg, …)`."""
        names = [photo.name for photo in self.photos[:_NAMED]]
        names += ["…"] * (len(self.photos) > _NAMED)
        return f"{len(self.photos)} that {_DONE[self.role]} {self.title} ({', '.join(names)})"


def properties(used: Mapping[Role, Sequence[Photo]]) -> dict[str, str]:
    """What a graph says of the photos that were `used` to make it.

    Raises `ConfigurationError` if one of them cannot be read.
    """
    return {
        PREFIX + role: " ".join(sorted({_short(digest_of(photo.path)) for photo in photos}))
        for role, photos in used.items()
    }


def properties_of_network(network: Any) -> dict[str, str]:
    """What a `network` that is imported says of the photos that it was trained on, as `properties` writes it."""
    return {name: value for name, value in properties_of(network).items() if name.startswith(PREFIX)}


def leaks(graphs: Mapping[str, Path], photos: Sequence[Photo]) -> list[Leak]:
    """Which of `photos` had a part in making which of `graphs`, which are files by the title of their model."""
    listed = [(title, said) for title, path in graphs.items() if (said := _listed(_said(path)))]
    if not listed:
        return []
    hashes = [_short(digest_of(photo.path)) for photo in photos]
    found = []
    for title, roles in listed:
        for role, used in roles.items():
            again = tuple(photo for photo, each in zip(photos, hashes, strict=True) if each in used)
            if again:
                found.append(Leak(title, role, again))
    return found


def must_not_leak(subjects: Sequence[Subject], photos: Sequence[Photo]) -> None:
    """Raise `ConfigurationError` if one of `photos`, which are to judge, had a part in making one of `subjects`."""
    if found := leaks({subject.title: subject.classify.path for subject in subjects}, photos):
        raise ConfigurationError(
            f"of {len(photos)} photos that are to judge, {', and '.join(leak.said() for leak in found)}: a model does "
            "well on what made it; judge by the half that never calibrates (--part judge), or by other photos"
        )


def unknown(subjects: Sequence[Subject]) -> Iterator[str]:
    """A warning for each of `subjects` that was calibrated on photos which it does not list."""
    for subject in subjects:
        said = _said(subject.classify.path)
        if _CALIBRATED in said and not _listed(said):
            yield (
                f"{subject.title} does not say which photos calibrated it, as older versions of topfive wrote it: they "
                "may be among those that judge; optimise it anew, or leave --part out"
            )


def _said(path: Path) -> dict[str, str]:
    return properties_of(onnx.load(path, load_external_data=False))


def _listed(properties: Mapping[str, str]) -> dict[Role, frozenset[str]]:
    return {role: frozenset(properties[PREFIX + role].split()) for role in _DONE if PREFIX + role in properties}


def _short(digest: str) -> str:
    return digest[:_DIGITS]
