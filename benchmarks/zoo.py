"""Imports real models of several frameworks and compares what is served: `python -m benchmarks zoo`.

Each is imported by the command line that its user would type, all into one repository. The service serves that, and is
asked pictures, as PNG, over HTTP. Its probabilities must be those of the framework that the model came from: with the
framework's own preprocessing, and its own network. `zoo_models` makes the models.
"""

from __future__ import annotations

import json as json_format
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import numpy.typing as npt
from typer import Option

from benchmarks import machine, oip, report, workloads
from benchmarks import options as o
from benchmarks.server import ROOT, Endpoint, Service
from benchmarks.zoo_models import making, saving
from benchmarks.zoo_models.saving import Recipe
from topfive_loadgen import tables, verdict
from topfive_loadgen.asking import ask
from topfive_loadgen.cli import several
from topfive_loadgen.http1 import render
from topfive_loadgen.verdict import Check

TOPFIVE: Final = Path(sys.executable).with_name("topfive")
"""The command as it is installed beside this Python."""
OUT: Final = ROOT / "build" / "zoo"
REPOSITORY: Final = "repository"
START_SECONDS: Final = 300.0  # a score of models are loaded and warmed up
IMPORT_SECONDS: Final = 600.0
EMBEDDED_ROWS: Final = 3  # pictures of which the embedding is compared
EMBEDDING_MOST: Final = 1e-2
"""Largest difference of an embedding, as a share of its largest number."""

Array = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """A model after `topfive import`: how long that took, and what it said if it refused."""

    name: str
    recipe: Recipe
    command: str
    seconds: float
    said: str
    done: bool

    @property
    def as_wanted(self) -> bool:
        """Imported; or refused, for the reason that it must be refused for."""
        wanted = self.recipe.refused
        return self.done is not bool(wanted) and wanted in self.said.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What the service answered beside the framework; `largest` is of all probabilities that were answered.

    `agree`: of how many of `pictures` the first label is the framework's, or one as probable but for the tolerance.
    `embedding`: the largest difference of a further output, as a share of the largest number; None without one.
    """

    largest: float
    agree: int
    pictures: int
    served: str
    embedding: float | None = None


def names(out: Path) -> list[str]:
    """The models in the zoo."""
    return sorted(file.parent.name for file in out.glob(f"*/{saving.RECIPE}"))


def bring_in(out: Path, name: str, flags: Sequence[str]) -> Imported:
    """Import a model into the repository of the zoo, from within its own folder."""
    recipe = Recipe(**json_format.loads((out / name / saving.RECIPE).read_text()))
    words = ["import", saving.MODEL, "--name", name, *recipe.arguments, *flags]
    command = [str(TOPFIVE), *words, "--repository", str((out / REPOSITORY).resolve())]
    began = time.monotonic()
    ended = subprocess.run(command, cwd=out / name, capture_output=True, text=True, check=False, timeout=IMPORT_SECONDS)
    return Imported(
        name=name,
        recipe=recipe,
        command=shlex.join(["topfive", *words]),
        seconds=time.monotonic() - began,
        said=ended.stdout + ended.stderr,
        done=ended.returncode == 0,
    )


def compare(out: Path, service: Endpoint, model: Imported) -> Compared:
    """Ask the service every picture of a model."""
    with np.load(out / model.name / saving.EXPECTED) as stored:
        expected = dict(stored)
    files = [out / model.recipe.pictures / str(name) for name in expected["files"]]
    rows = [answer(service, model.name, file) for file in files]
    pairs = list(zip(rows, expected["probabilities"], strict=True))
    agree = sum(is_first(row, right, model.recipe.tolerance) for row, right in pairs)
    differences = [largest(row, right) for row, right in pairs]
    far = None
    if "embedding" in expected:
        rows_of = zip(files[:EMBEDDED_ROWS], expected["embedding"][:EMBEDDED_ROWS], strict=True)
        far = max(embedded(service, model.name, *pair) for pair in rows_of)
    served = ", ".join(f"{one['label']} {one['probability']:.3f}" for one in rows[0][:2])
    return Compared(largest=max(differences), agree=agree, pictures=len(rows), served=served, embedding=far)


def answer(service: Endpoint, model: str, file: Path) -> list[dict[str, Any]]:
    """The predictions for a picture; none, with a line of progress, if it was answered with an error."""
    request = render("POST", f"/v1/classify?model={model}", file.read_bytes(), Content_Type="image/png")
    response = ask(service.address, request)
    if response.status != 200:
        print(f"{model}, {file.name}: {response.status} {response.body[:300]!r}", file=sys.stderr)
        return []
    found: list[dict[str, Any]] = json_format.loads(response.body)["predictions"]
    return found


def is_first(row: Sequence[dict[str, Any]], right: Array, tolerance: float) -> bool:
    """Whether the first answer is the most probable one, or as good as that."""
    return bool(row) and bool(right[row[0]["index"]] >= right.max() - 2 * tolerance)


def largest(row: Iterable[dict[str, Any]], right: Array) -> float:
    """The largest difference of an answered probability; 1 where nothing was answered."""
    return max((abs(one["probability"] - float(right[one["index"]])) for one in row), default=1.0)


def embedded(service: Endpoint, model: str, file: Path, right: Array) -> float:
    """The largest difference of the output that is as wide as the embedding, as a share of its largest number."""
    pixels = workloads.decode(file.read_bytes())[np.newaxis]
    response = ask(service.address, oip.infer(model, pixels, binary=False))
    outputs = json_format.loads(response.body).get("outputs", [])
    seen = [one["data"] for one in outputs if one["datatype"] == "FP32" and one["shape"][-1] == len(right)]
    return float(np.abs(np.ravel(seen[0]) - right).max() / np.abs(right).max()) if seen else float("nan")


def checks(models: Sequence[Imported], compared: dict[str, Compared]) -> list[Check]:
    """Everything imported, or refused as wanted; every answer the framework's."""
    wrong = [f"{model.name}: {model.said.strip()[-600:]}" for model in models if not model.as_wanted]
    found = [verdict.none_of("models not imported, or not refused as wanted", wrong)]
    for model in models:
        if seen := compared.get(model.name):
            limit = model.recipe.tolerance
            found.append(verdict.at_most(f"{model.name}: largest difference of a probability", seen.largest, limit))
            found.append(verdict.at_least(f"{model.name}: the framework's first label", seen.agree, seen.pictures))
            if seen.embedding is not None:
                found.append(verdict.at_most(f"{model.name}: embedding", seen.embedding, EMBEDDING_MOST))
    return found


def table(models: Sequence[Imported], compared: dict[str, Compared]) -> tables.Table:
    """A line for each model."""
    seen = [compared.get(model.name) for model in models]
    return tables.Table(
        "",
        [
            tables.texts("model", [model.name for model in models]),
            tables.texts("command line", [model.command for model in models]),
            tables.numbers("import, s", [model.seconds for model in models], decimals=1),
            tables.texts("largest Δp", [f"{one.largest:.1e}" if one else tables.NOTHING for one in seen], "number"),
            tables.texts("same label", [f"{one.agree}/{one.pictures}" if one else "–" for one in seen], "number"),
            tables.texts(
                "answer", [one.served if one else short(model) for one, model in zip(seen, models, strict=True)]
            ),
        ],
    )


def short(model: Imported) -> str:
    """What the import of a model that is not served said last, in a cell of a table."""
    last = model.said.strip().split("\n\n")[-1]
    return f"{'refused' if model.recipe.refused else 'failed'}: {' '.join(last.split())}"


def main(
    *,
    out: Annotated[Path, Option(metavar="DIR", help="where models and environments are made, and kept")] = OUT,
    images: o.Images = None,
    pictures: Annotated[int, Option(min=32, metavar="N", help="photos that each model is asked")] = 40,
    models: Annotated[Sequence[str], Option(parser=several(str), metavar="NAME,…", help="only these")] = (),
    import_flag: Annotated[
        list[str], Option("--import-flag", metavar="FLAG", help="a further option for each import; may be repeated")
    ] = o.NONE_GIVEN,
    service_flag: o.Flags = o.NONE_GIVEN,
    json: o.Json = None,
) -> int:
    """Import real models of several frameworks, serve them together, and compare the answers with the frameworks'."""
    if images is None:
        raise SystemExit("the zoo needs a folder of JPEG photos: --images DIR")
    making.make(out, images, count=pictures)
    shutil.rmtree(out / REPOSITORY, ignore_errors=True)
    (out / REPOSITORY).mkdir()
    imported = []
    for name in [one for one in names(out) if not models or one in models]:
        imported.append(bring_in(out, name, import_flag))
        end = "imported" if imported[-1].done else imported[-1].said.strip()
        print(f"{name}: {imported[-1].seconds:.1f} s, {end}", file=sys.stderr)
    served = [model for model in imported if model.done]
    if not served:
        return report.finish(checks(imported, {}), shown=[tables.markdown(table(imported, {}))], json=json)
    repository = out / REPOSITORY
    with closing(Service(repository, *service_flag, within_seconds=START_SECONDS)) as service:
        ready = service.start_seconds
        compared = {model.name: compare(out, service, model) for model in served}
    note = f"{len(served)} models in one repository, ready after {ready:.1f} s."
    document = {"environment": machine.environment([]), "models": imported, "compared": compared}
    shown = [note, tables.markdown(table(imported, compared))]
    return report.finish(checks(imported, compared), shown=shown, json=json, document=document)
