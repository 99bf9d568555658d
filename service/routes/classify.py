"""`POST /v1/classify`: an image in any of the accepted forms in, its labels out.

What lives here: how the request is read and the answer written. Documentation of the route is in `routes.docs`; errors,
headers and the log in `routes.endpoint`; what happens to the image is the classifier's.
"""

from __future__ import annotations

from typing import Any, Final

import orjson

from service.backends.base import Row
from service.classifier import Classification, Source, check_size
from service.entry import Entry
from service.errors import MalformedRequest
from service.images import RawShape
from service.routes.body import check_length, disconnect_probe
from service.routes.endpoint import JSON, Exchange, Reply
from service.routes.multipart import image_part
from service.routes.parameters import MULTIPART, Parameters, media_type_of, parse_query, source_of
from service.serving import Serving

PATH: Final = "/v1/classify"


class ClassifyHandler:
    """Answers the route on `serving`."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving

    async def __call__(self, exchange: Exchange) -> Reply:
        """See `routes.docs.classify`."""
        serving = self._serving
        headers = exchange.headers
        parameters = parse_query(exchange.scope["query_string"])
        content_type = headers.get(b"content-type", b"")
        media_type = media_type_of(content_type)
        coding = exchange.coding
        model = serving.models.find(parameters.model, parameters.version)
        exchange.model = model
        source = None if media_type == MULTIPART else source_of(media_type, parameters)
        if isinstance(source, RawShape):
            check_size(model, source.height, source.width)
        self._check_length(exchange.declared_length, source, is_coded=bool(coding))
        deadline = serving.classifier.deadline(model, parameters.timeout_seconds)
        images = source.count if isinstance(source, RawShape) else 1
        length = exchange.declared_length or 0
        with Entry(serving.admission, model, nbytes=length, images=images, deadline=deadline) as entry:
            body = await exchange.body(entry, limit=serving.settings.max_body_bytes, run=serving.classifier.aside)
            if not body:
                raise MalformedRequest("the body is empty; send the image in it")
            if source is None:
                body, source = _from_form(bytes(body), content_type, parameters, serving)
                images = source.count if isinstance(source, RawShape) else 1
            entry.begin(images, deadline=deadline)
            result = await serving.classifier.classify(
                model,
                body,
                source,
                reservation=entry.reservation,
                deadline=deadline,
                abandoned=disconnect_probe(exchange.receive),
            )
        exchange.timings = result.timings
        exchange.images = len(result.rows)
        return Reply(_render(result, listed=parameters.count is not None), [JSON])

    def _check_length(self, length: int | None, source: Source | None, *, is_coded: bool) -> None:
        """Refuse by the head alone what would be refused after reading the body."""
        check_length(length, self._serving.settings.max_body_bytes)
        if isinstance(source, RawShape):
            source.check(self._serving.limits)
            if length is not None and length != source.nbytes and not is_coded:
                raise MalformedRequest(
                    f"Content-Length is {length}, but count*height*width*3 = {source.count}*{source.height}*"
                    f"{source.width}*3 = {source.nbytes}; send uint8 RGB pixels, row by row"
                )


def _from_form(body: bytes, content_type: bytes, parameters: Parameters, serving: Serving) -> tuple[bytes, Source]:
    data, media_type = image_part(body, content_type)
    source = source_of(media_type, parameters, in_form=True)
    if isinstance(source, RawShape):
        source.check(serving.limits)
    return data, source


def _render(result: Classification, *, listed: bool) -> bytes:
    """One image's labels under `predictions`; with `?count=`, a list under `images`."""
    answer: dict[str, Any] = {"model": result.model.name, "version": str(result.model.version)}
    if listed:
        answer["images"] = [{"predictions": predictions(row)} for row in result.rows]
    else:
        answer["predictions"] = predictions(result.rows[0])
    return orjson.dumps(answer)


def predictions(row: Row) -> list[dict[str, Any]]:
    """The labels of one image, best first."""
    return [
        {"label": label, "index": index, "probability": probability}
        for label, index, probability in zip(
            row["classes"].tolist(), row["indices"].tolist(), row["probabilities"].tolist(), strict=True
        )
    ]
