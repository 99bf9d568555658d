"""Readers of answers: labels of `/v1/classify` and of the Open Inference Protocol, in JSON or binary.

They run in the generator and keep only what is judged later. They import nothing of the service.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

from benchmarks.workloads import TIE
from topfive_loadgen import tensors
from topfive_loadgen.http1 import Response

OK = 200
FIRST_INDEX = re.compile(rb'"index": ?(\d+)')
INFERENCE = re.compile(r"inference;dur=([\d.]+)")
CLASSES, PROBABILITIES = "classes", "probabilities"  # outputs, most probable first

Prediction = tuple[str, float]
"""A label and its probability."""


@dataclass(frozen=True, slots=True)
class Told:
    """The model version of an answer, and the first label of each image."""

    version: str
    labels: tuple[str, ...]


def top_index(response: Response) -> int | None:
    """The class index of the first prediction; cheap, for loads at the limit."""
    found = FIRST_INDEX.search(response.body) if response.status == OK else None
    return int(found[1]) if found else None


def top_and_inference(response: Response) -> tuple[int | None, float]:
    """`top_index`, and the seconds of inference of its batch, from `Server-Timing`."""
    found = INFERENCE.search(response.header("server-timing") or "")
    return top_index(response), float(found[1]) / 1e3 if found else 0.0


def told(response: Response) -> Told | str:
    """Version and labels of a good answer; for any other answer, its error code or text."""
    if response.status != OK:
        return error_code(response)
    version, images = predictions(response)
    return Told(version, tuple(image[0][0] for image in images))


def error_code(response: Response) -> str:
    """The `code` of an error; without one, the beginning of the body."""
    try:
        return str(json.loads(response.body)["code"])
    except (ValueError, KeyError, TypeError):
        return response.body[:80].decode(errors="replace")


def likely_indices(response: Response) -> frozenset[int]:
    """The class indices that a later answer to the same image may put first: the first one, and its ties."""
    if response.status != OK:
        raise SystemExit(f"a lone request was answered {response.status}: {response.body[:300]!r}")
    given = json.loads(response.body)["predictions"]
    return frozenset(one["index"] for one in given if one["probability"] >= given[0]["probability"] - TIE)


def likely_labels(response: Response) -> list[frozenset[str]]:
    """For each image, the labels that a later answer may put first."""
    _, images = predictions(response)
    return [frozenset(label for label, share in image if share >= image[0][1] - TIE) for image in images]


def predictions(response: Response) -> tuple[str, list[list[Prediction]]]:
    """The version of a good answer, and each image's labels with their probabilities."""
    document, binary = tensors.split(response.body, response.header(tensors.JSON_LENGTH))
    if "outputs" in document:
        return str(document.get("model_version")), _ranked(document, binary)
    images = document.get("images", [document])
    return str(document["version"]), [
        [(one["label"], one["probability"]) for one in image["predictions"]] for image in images
    ]


def _ranked(document: Any, binary: bytes) -> list[list[Prediction]]:
    """The labels of each image, most probable first."""
    found = tensors.values(document, binary, of=(CLASSES, PROBABILITIES))
    pairs = list(zip(found[CLASSES], found[PROBABILITIES], strict=True))
    columns = next(one["shape"][-1] for one in document["outputs"] if one["name"] == CLASSES)
    return [pairs[start : start + columns] for start in range(0, len(pairs), columns)]
