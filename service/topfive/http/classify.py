"""`POST /v1/classify`: one image or several in any of the accepted forms in, their labels out.

What lives here: the order in which the request is judged and read. What a body holds is in `routes.uploads`, the answer
in `routes.predictions`, documentation of the route in `routes.docs`; errors, headers and the log in `routes.endpoint`;
what happens to the images is the classifier's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final

from topfive.ground.errors import ClientDisconnected, MalformedRequest, UndecodableImage
from topfive.http.bodies.json_images import check_json
from topfive.http.bodies.reading import check_length, disconnect_probe
from topfive.http.bodies.uploads import Upload, holds_json, read_upload
from topfive.http.endpoint import JSON, Exchange, Reply
from topfive.http.parameters import JSON as JSON_TYPE
from topfive.http.parameters import is_form, media_type_of, parse_query, source_of
from topfive.http.predictions import check_top, render
from topfive.images.decoding import RawShape
from topfive.images.files.formats import sniff
from topfive.request.classifier import Body, EncodedImage, Source, check_size, count_of
from topfive.request.entry import Entry
from topfive.serving.serving import Serving

PATH: Final = "/v1/classify"
_LIGHT_BYTES: Final = 1 << 16
"""A form or JSON that is read in less time than a change of thread and back takes twice."""


class ClassifyHandler:
    """Answers the route on `serving`."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving
        self._reading = asyncio.Lock()

    async def __call__(self, exchange: Exchange) -> Reply:
        """See `routes.docs.classify`."""
        serving = self._serving
        parameters = parse_query(exchange.scope["query_string"])
        content_type = exchange.headers.get(b"content-type", b"")
        media_type = media_type_of(content_type)
        coding = exchange.coding
        model = serving.models.find(parameters.model, parameters.version)
        exchange.model = model
        check_top(model, parameters)
        in_form = is_form(media_type)
        source = parameters.raw_shape() if in_form and parameters.has_size else source_of(media_type, parameters)
        if isinstance(source, RawShape):
            source.check(serving.limits)
            check_size(model, source.height, source.width)
        self._check_length(exchange.declared_length, source, media_type, is_coded=bool(coding))
        deadline = serving.classifier.deadline(model, parameters.timeout_seconds)
        length = exchange.declared_length or 0
        with Entry(serving.admission, model, nbytes=length, images=count_of(source), deadline=deadline) as entry:
            read = await exchange.body(entry, limit=serving.settings.max_body_bytes, run=serving.classifier.aside)
            if not read:
                raise MalformedRequest("the body is empty; send the image in it")
            abandoned = disconnect_probe(exchange.receive)
            body: Body = read
            listed, instances = parameters.count is not None, False
            if in_form or (isinstance(source, EncodedImage) and holds_json(read, media_type)):
                understand = partial(
                    read_upload,
                    read,
                    content_type,
                    media_type,
                    parameters,
                    limits=serving.limits,
                    max_json_bytes=serving.settings.max_json_bytes,
                )
                upload = understand() if len(read) <= _LIGHT_BYTES else await self._aside(understand, abandoned)
                body, source = upload.body, upload.source
                listed, instances = listed or upload.listed, upload.instances
                entry.charge(upload.copied_bytes)
            try:
                result = await serving.classifier.classify(
                    model, body, source, entry=entry, deadline=deadline, abandoned=abandoned
                )
            except UndecodableImage as error:
                raise _advised(error, body, source) from error
        exchange.timings = result.timings
        exchange.images = len(result.rows)
        return Reply(render(result, parameters, listed=listed, instances=instances), [JSON])

    async def _aside(self, read: Callable[[], Upload], abandoned: Callable[[], bool]) -> Upload:
        """What `read` gives, on another thread, one at a time: two would be no faster, as neither lets others run."""
        async with self._reading:
            if abandoned():
                raise ClientDisconnected("the client hung up after its body")
            return await self._serving.classifier.aside(read)

    def _check_length(self, length: int | None, source: Source, media_type: str, *, is_coded: bool) -> None:
        """Refuse by the head alone what would be refused after reading the body."""
        settings = self._serving.settings
        check_length(length, settings.max_body_bytes)
        if length is None or is_coded or is_form(media_type):
            return
        if media_type == JSON_TYPE:
            check_json(length, most=settings.max_json_bytes)
        if isinstance(source, RawShape) and length != source.nbytes:
            raise MalformedRequest(
                f"Content-Length is {length}, but count*height*width*3 = {source.count}*{source.height}*"
                f"{source.width}*3 = {source.nbytes}; send uint8 RGB pixels, row by row, or leave height and width out "
                "for an image file"
            )


def _advised(error: UndecodableImage, body: Body, source: Source) -> UndecodableImage:
    """`error`, and how raw pixels are sent, if the body is one of no known kind: then it may be pixels."""
    if isinstance(source, EncodedImage) and isinstance(body, bytes | bytearray | memoryview) and sniff(body) is None:
        said = f"{error}; raw uint8 RGB pixels need ?height= and ?width= in the URL"
        return UndecodableImage(said, logged=error.logged)
    return error
