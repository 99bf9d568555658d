"""The answer of `POST /v1/classify`: the labels of one image or several as JSON, all labels or only the best."""

from __future__ import annotations

from typing import Any, Final

import orjson

from topfive.backends.base import Row
from topfive.ground.errors import MalformedRequest
from topfive.http.parameters import Parameters
from topfive.models.served import ServedModel
from topfive.request.classifier import Classification

_CLASSES: Final = "classes"


def check_top(model: ServedModel, parameters: Parameters) -> None:
    """Raise `MalformedRequest` if the request asks for more labels than `model` puts out."""
    if parameters.top is None:
        return
    for output in model.config.outputs:
        if output.name == _CLASSES and 0 <= output.shape[-1] < parameters.top:
            most = output.shape[-1]
            raise MalformedRequest(
                f"top is {parameters.top}, but the graph of model '{model.name}' puts out {most} labels an image; ask "
                f"for at most {most}, or export the model again with a larger k in its TopK, and in its config.pbtxt"
            )


def render(result: Classification, parameters: Parameters, *, listed: bool, instances: bool) -> bytes:
    """The answer's JSON: the labels of one image under `predictions`; of several (`listed`) as a list under `images`.

    With `instances`, a list has `predictions` too: an object of named outputs per image, as TF Serving's clients read.
    """
    answer: dict[str, Any] = {"model": result.model.name, "version": str(result.model.version)}
    top, threshold = parameters.top, parameters.threshold
    if not listed:
        answer["predictions"] = _predictions(result.rows[0], top, threshold)
        return orjson.dumps(answer)
    answer["images"] = images = [{"predictions": _predictions(row, top, threshold)} for row in result.rows]
    if instances:
        answer["predictions"] = [
            {
                "classes": [each["label"] for each in image["predictions"]],
                "probabilities": [each["probability"] for each in image["predictions"]],
                "indices": [each["index"] for each in image["predictions"]],
            }
            for image in images
        ]
    return orjson.dumps(answer)


def _predictions(row: Row, top: int | None, threshold: float | None) -> list[dict[str, Any]]:
    """The labels of one image, most probable first: at most `top`, and none less probable than `threshold`.

    A place whose label is empty holds no answer, and is left out: a graph that puts out all labels above a threshold of
    its own has as many places as there could be.
    """
    predictions = [
        {"label": label, "index": index, "probability": probability}
        for label, index, probability in zip(
            row["classes"].tolist(), row["indices"].tolist(), row["probabilities"].tolist(), strict=True
        )
        if label
    ][:top]
    return predictions if threshold is None else [each for each in predictions if each["probability"] >= threshold]
