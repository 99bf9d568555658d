"""Proves a quantised graph as it was written: shapes, order and sums, batches, and the server itself.

What lives here: what must hold of any answer. What does not: how much it may lose (`judged`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.optimising.bench import Pictures, Progress
from topfive_pipeline.proof.answers import fault_of
from topfive_pipeline.proof.models import Written
from topfive_pipeline.proof.photos import odd_images
from topfive_pipeline.proof.served import serve
from topfive_pipeline.proof.verdict import Finding, Proof

BATCH_BOUND: Final = 1e-3
"""The most that a probability may depend on who else is in the batch. Integers are the same in every batch; layers in
floating point may be summed in another order, and so round one integer differently."""
_BATCH: Final = 8
_SERVED: Final = 3


def prove(written: Written, source: Written, pictures: Pictures, *, progress: Progress) -> Proof:
    """Prove `written` on `pictures`; its outputs must have the shapes of `source`'s."""
    figures: dict[str, float] = {"photos": len(pictures.photos), "batch_bound": BATCH_BOUND}
    findings: list[Finding] = []
    steps = {
        "answers": _answers(written, source, pictures),
        "batch": _batch(written, pictures.crops, figures),
        "server": _server(written, pictures),
    }
    for name, step in steps.items():
        progress(f"proving: {name}")
        try:
            findings += step  # a step begins here, when its findings are taken
        except ConfigurationError as error:
            findings.append(Finding(name, passed=False, said=str(error)))
        if findings[-1].passed is False:
            break
    return Proof(tuple(findings), figures)


def _answers(written: Written, source: Written, pictures: Pictures) -> Iterator[Finding]:
    totals = []
    for photo, crop in zip(pictures.photos, pictures.crops, strict=True):
        answer, before = (each.classify.named(crop[np.newaxis]) for each in (written, source))
        for name, values in before.items():
            if name not in answer or answer[name].shape != values.shape or answer[name].dtype != values.dtype:
                yield Finding("answers", False, f"'{name}' is not {values.dtype} {list(values.shape)} any more")
                return
        if (fault := fault_of(answer, written.labels)) is not None:
            yield Finding("answers", False, f"{photo.name}: {fault}")
            return
        totals.append((float(answer["probabilities"].sum()), len(answer["indices"][0])))
    highest = max(total for total, _ in totals)
    if all(places == len(written.labels) for _, places in totals):
        said = f"sums from {min(total for total, _ in totals):.3f} to {highest:.3f}"
    else:
        said = f"the best labels' sums at most {highest:.3f}"
    yield Finding("answers", True, f"shapes as before, labels in order, {said}, on {len(totals)} photos")


def _batch(written: Written, crops: Sequence[NDArray[np.uint8]], figures: dict[str, float]) -> Iterator[Finding]:
    some = np.stack(crops[:_BATCH])
    together = written.classify.named(some)["probabilities"]
    alone = [written.classify.named(some[place : place + 1])["probabilities"][0] for place in range(len(some))]
    worst = float(np.abs(together - np.stack(alone)).max())
    figures["batch_difference_max"] = worst
    said = f"{len(some)} images together differ by {worst:.1e} from each alone; {BATCH_BOUND:g} is the bound"
    yield Finding("batch", worst <= BATCH_BOUND, said)


def _server(written: Written, pictures: Pictures) -> Iterator[Finding]:
    images = [np.asarray(photo.image()) for photo in pictures.photos[:_SERVED]]
    images += [image for _, image in odd_images()][:_SERVED]
    with serve(written.repository) as served:
        for image in images:
            answer = [each["label"] for each in served.classify(image, model=written.name)]
            direct = written.classify.named(written.resize.run(image[np.newaxis])[0])["classes"][0].tolist()
            if answer != [label for label in direct if label]:
                yield Finding("server", False, f"it answers {answer}, but its graphs {direct}")
                return
    yield Finding("server", True, f"loaded by the server itself; {len(images)} images of several sizes asked for")
