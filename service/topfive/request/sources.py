"""The forms in which images lie in a request's body: raw pixels, one file, or several files.

What lives here: these forms, independent of the protocol, and the check of an image's size against the model. What does
not: how a door finds out the form (`http.bodies`, `protocol`), and how images are decoded (`images`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from topfive.ground.errors import MalformedRequest
from topfive.images.decoding import RawShape
from topfive.images.files.limits import Buffer
from topfive.models.served import ServedModel


@dataclass(frozen=True, slots=True)
class EncodedImage:
    """A body that is one image file; the file's own bytes tell its format."""


@dataclass(frozen=True, slots=True)
class EncodedImages:
    """A body that is a sequence of image files, one for each of `names`, by which error messages call them."""

    names: Sequence[str]


Source = RawShape | EncodedImage | EncodedImages
"""How the body is to be read."""
Body = Buffer | Sequence[Buffer]


def count_of(source: Source) -> int:
    """How many images a body of `source` holds."""
    match source:
        case RawShape():
            return source.count
        case EncodedImages():
            return len(source.names)
        case _:
            return 1


def each_of(body: Body, source: Source) -> list[tuple[Buffer, Source]]:
    """Each image of a body by itself, without a copy: its bytes, and how they are to be read."""
    match source:
        case RawShape():
            one = replace(source, count=1)
            pixels = memoryview(body)  # type: ignore[arg-type]  # by its source
            return [(pixels[start : start + one.nbytes], one) for start in range(0, source.nbytes, one.nbytes)]
        case EncodedImages():
            return [(file, EncodedImage()) for file in body]  # type: ignore[misc]  # by its source
        case _:
            return [(body, source)]  # type: ignore[list-item]  # by its source


def check_size(model: ServedModel, height: int, width: int) -> None:
    """Raise `MalformedRequest` if `model` has no per-image graph and takes images of another size only."""
    if model.per_image is not None:
        return
    _, wanted_height, wanted_width, _ = model.image.shape
    if wanted_height not in (-1, height) or wanted_width not in (-1, width):
        raise MalformedRequest(
            f"model '{model.name}' takes images of {wanted_height}x{wanted_width} (height x width, -1 for any) and got "
            f"{height}x{width}; resize it, or call a model that does"
        )
