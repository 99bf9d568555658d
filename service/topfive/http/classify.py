"""`POST /v1/classify`: takes one image or several in any accepted form, and answers with their labels.

What lives here: the checks of a request's head, and the reading of its body. What does not: what a body holds
(`http.bodies.uploads`), the answer (`http.predictions`), the route's documentation (`http.docs`), errors, headers and
the log (`http.endpoint`), and the order of the steps (`request.classifier`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from topfive.ground.errors import MalformedRequest, UndecodableImage
from topfive.http.bodies.json_images import check_json
from topfive.http.bodies.reading import disconnect_probe
from topfive.http.bodies.uploads import Upload, holds_json, read_upload
from topfive.http.endpoint import JSON, Exchange, Reply
from topfive.http.parameters import JSON as JSON_TYPE
from topfive.http.parameters import Parameters, is_form, media_type_of, parse_query, source_of
from topfive.http.predictions import check_top, render
from topfive.images.decoding import RawShape
from topfive.images.files.formats import sniff
from topfive.request.admission import Entry
from topfive.request.classifier import Announced
from topfive.request.sources import EncodedImage, Source, check_size, count_of
from topfive.serving.serving import Serving

PATH: Final = "/v1/classify"
_LIGHT_BYTES: Final = 1 << 16
"""A form or JSON of at most this size is parsed at once: two changes to another thread and back would take longer."""


class ClassifyHandler:
    """Answers the route on `serving`."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving

    async def __call__(self, exchange: Exchange) -> Reply:
        """See `http.docs.classify`."""
        serving = self._serving
        parameters = parse_query(exchange.scope["query_string"])
        content_type = exchange.headers.get(b"content-type", b"")
        media_type = media_type_of(content_type)
        model = exchange.model = serving.trials.find(parameters.model, parameters.version, exchange)
        check_top(model, parameters)
        in_form = is_form(media_type)
        source = parameters.raw_shape() if in_form and parameters.has_size else source_of(media_type, parameters)
        if isinstance(source, RawShape):
            source.check(serving.limits)
            check_size(model, source.height, source.width)
        exchange.check_head(max_body_bytes=serving.settings.max_body_bytes)
        if exchange.length is not None and not exchange.coding and not in_form:
            self._check_length(exchange.length, source, media_type)
        announced = Announced(
            model,
            exchange.started,
            nbytes=exchange.length or 0,
            images=count_of(source),
            timeout_seconds=parameters.timeout_seconds,
            tenant=exchange.tenant,
        )
        door = _Door(serving, exchange, parameters, content_type, media_type, source)
        try:
            upload, result = await serving.trials.answer(announced, door, exchange)
        except UndecodableImage as error:
            raise _advised(error, door.upload) from error
        exchange.answered(result)
        listed = parameters.count is not None or upload.listed
        return Reply(render(result, parameters, listed=listed, instances=upload.instances), [JSON])

    def _check_length(self, length: int, source: Source, media_type: str) -> None:
        """Refuse now, by the head alone, a request that would be refused after its body is read."""
        if media_type == JSON_TYPE:
            check_json(length, most=self._serving.settings.max_json_bytes)
        if isinstance(source, RawShape) and length != source.nbytes:
            raise MalformedRequest(
                f"Content-Length is {length}, but count*height*width*3 = {source.count}*{source.height}*"
                f"{source.width}*3 = {source.nbytes}; send uint8 RGB pixels, row by row, or leave height and width out "
                "for an image file"
            )


class _Door:
    """One request to the route; see `request.classifier.Door`."""

    __slots__ = (
        "_body",
        "_content_type",
        "_exchange",
        "_holds_others",
        "_media_type",
        "_parameters",
        "_serving",
        "_source",
        "is_abandoned",
        "upload",
    )

    def __init__(
        self,
        serving: Serving,
        exchange: Exchange,
        parameters: Parameters,
        content_type: bytes,
        media_type: str,
        source: Source,
    ) -> None:
        self._serving = serving
        self._exchange = exchange
        self._parameters = parameters
        self._content_type = content_type
        self._media_type = media_type
        self._source = source
        self._body: bytes | memoryview = b""
        self._holds_others = False
        self.is_abandoned: Callable[[], bool] = disconnect_probe(exchange.receive)
        self.upload: Upload | None = None

    async def receive(self, entry: Entry) -> None:
        serving = self._serving
        limit = serving.settings.max_body_bytes
        body = self._body = await self._exchange.body(entry, limit=limit, run=serving.classifier.pool.run)
        if not body:
            raise MalformedRequest("the body is empty; send the image in it")
        is_file = isinstance(self._source, EncodedImage)
        self._holds_others = is_form(self._media_type) or (is_file and holds_json(body, self._media_type))

    def is_light(self) -> bool:
        return not self._holds_others or len(self._body) <= _LIGHT_BYTES

    def understand(self) -> Upload:
        if self._holds_others:
            self.upload = read_upload(
                self._body,
                self._content_type,
                self._media_type,
                self._parameters,
                limits=self._serving.limits,
                max_json_bytes=self._serving.settings.max_json_bytes,
            )
        else:
            self.upload = Upload(self._body, self._source, listed=False)
        return self.upload


def _advised(error: UndecodableImage, upload: Upload | None) -> UndecodableImage:
    """`error`; if no known format fits the body, it may be raw pixels, so the message also says how to send those."""
    if upload is None or not isinstance(upload.source, EncodedImage):
        return error
    body = upload.body
    if isinstance(body, bytes | bytearray | memoryview) and sniff(body) is None:
        said = f"{error}; raw uint8 RGB pixels need ?height= and ?width= in the URL"
        return UndecodableImage(said, logged=error.logged)
    return error
