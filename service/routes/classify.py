"""`POST /v1/classify`: the hot path, as lean as ASGI allows.

What lives here: permit, body, answer, and one metric, header and log line with the same numbers. Documentation of the
route is in `routes.docs`; what happens to the image is the classifier's.
"""

from __future__ import annotations

import asyncio
import logging
import random
from typing import Any, Final

import orjson

from service.classifier import Source, check_size
from service.errors import MalformedRequest, NotReady, TooLarge, TopfiveError, UnsupportedMediaType
from service.images import RawShape
from service.logs import RequestLog
from service.routes.body import Receive, Scope, Send, declared_length, disconnect_probe, read_body
from service.routes.error_responses import Headers, error_body, internal_error_body, retry_headers, status_of
from service.routes.multipart import image_part
from service.routes.parameters import MULTIPART, Parameters, media_type_of, parse_query, source_of
from service.serving import Serving
from service.types import Classification, Timings

logger = logging.getLogger("topfive")

PATH: Final = "/v1/classify"
_JSON: Final = (b"content-type", b"application/json")
_WANTED_HEADERS: Final = (b"content-type", b"content-length", b"content-encoding", b"x-request-id")
_MAX_REQUEST_ID: Final = 128
_MILLISECONDS: Final = 1000.0


class ClassifyEndpoint:
    """The ASGI application behind the route."""

    def __init__(self, serving: Serving, log: RequestLog) -> None:
        self._serving = serving
        self._log = log
        self._now = serving.clock.now

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; every error of `service.errors` becomes its status here."""
        started = self._now()
        headers = {name: value for name, value in scope["headers"] if name in _WANTED_HEADERS}
        call = _Call(_request_id(headers))
        extra: Headers = []
        try:
            body = await self._classify(scope, headers, receive, call)
            status = 200
        except TopfiveError as error:
            status = status_of(error)
            body = error_body(str(error), error.code)
            extra = retry_headers(error)
            self._serving.metrics.rejected.labels(error.code).inc()
            if status == 500:
                logger.error("request %s failed", call.request_id, exc_info=error)
                body = internal_error_body(call.request_id)
        except asyncio.CancelledError:  # the stop's bound is reached: uvicorn ends what is left
            stopped = NotReady("the service stopped before it could answer; send the request to another replica")
            status, body, extra = 503, error_body(str(stopped), stopped.code), retry_headers(stopped)
        except Exception as error:  # a defect of ours must answer too, and leave its trace in the log
            status = 500
            body = internal_error_body(call.request_id)
            logger.error("request %s failed", call.request_id, exc_info=error)
        total = self._now() - started
        if call.timings is not None:
            extra.append((b"server-timing", _server_timing(call.timings, total)))
        await send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [
                    _JSON,
                    (b"content-length", str(len(body)).encode()),
                    (b"x-request-id", call.request_id.encode()),
                    *extra,
                ],
            }
        )
        await send({"type": "http.response.body", "body": body})
        self._report(call, status, total)

    async def _classify(self, scope: Scope, headers: dict[bytes, bytes], receive: Receive, call: _Call) -> bytes:
        serving = self._serving
        parameters = parse_query(scope["query_string"])
        content_type = headers.get(b"content-type", b"")
        media_type = media_type_of(content_type)
        if headers.get(b"content-encoding", b"identity").lower() != b"identity":
            raise UnsupportedMediaType("Content-Encoding is not served; send the body as it is")
        model = serving.models.find(parameters.model, parameters.version)
        call.model = model.name
        source = None if media_type == MULTIPART else source_of(media_type, parameters)
        if isinstance(source, RawShape):
            check_size(model, source.height, source.width)
        length = declared_length(headers.get(b"content-length"))
        self._check_length(length, source)
        deadline = serving.classifier.deadline(model, parameters.timeout_seconds)
        limit = serving.settings.max_body_bytes
        images = source.count if isinstance(source, RawShape) else 1
        with (
            serving.admission.acquire(limit if length is None else length),
            model.batcher.reserve() as reservation,
        ):
            model.batcher.check_room(images, deadline=deadline)
            body = await read_body(receive, length=length, limit=limit)
            call.nbytes = len(body)
            if not body:
                raise MalformedRequest("the body is empty; send the image in it")
            if source is None:
                body, source = _from_form(bytes(body), content_type, parameters, serving)
            reservation.extend(source.count if isinstance(source, RawShape) else 1, deadline=deadline)
            result = await serving.classifier.classify(
                model,
                body,
                source,
                reservation=reservation,
                deadline=deadline,
                abandoned=disconnect_probe(receive),
            )
        call.timings = result.timings
        call.images = len(result.images)
        return _render(result, listed=parameters.count is not None)

    def _check_length(self, length: int | None, source: Source | None) -> None:
        """Refuse by the declared length what would be refused after reading it."""
        limit = self._serving.settings.max_body_bytes
        if length is not None and length > limit:
            raise TooLarge(f"the body has {length} bytes; at most {limit} are accepted")
        if isinstance(source, RawShape):
            source.check(self._serving.limits)
            if length is not None and length != source.nbytes:
                raise MalformedRequest(
                    f"Content-Length is {length}, but count*height*width*3 = {source.count}*{source.height}*"
                    f"{source.width}*3 = {source.nbytes}; send uint8 RGB pixels, row by row"
                )

    def _report(self, call: _Call, status: int, total: float) -> None:
        self._serving.metrics.observe_request(PATH, call.model, status, total)
        if not self._log.enabled:
            return
        self._log.write(
            {
                "request_id": call.request_id,
                "route": PATH,
                "model": call.model,
                "status": status,
                "images": call.images,
                "body_bytes": call.nbytes,
                "total_seconds": round(total, 6),
                **_stages(call.timings),
            }
        )


class _Call:
    """What is learnt of a request on its way, for the report."""

    __slots__ = ("images", "model", "nbytes", "request_id", "timings")

    def __init__(self, request_id: str) -> None:
        self.request_id = request_id
        self.model = ""
        self.images = 0
        self.nbytes = 0
        self.timings: Timings | None = None


def _from_form(body: bytes, content_type: bytes, parameters: Parameters, serving: Serving) -> tuple[bytes, Source]:
    data, media_type = image_part(body, content_type)
    source = source_of(media_type, parameters, in_form=True)
    if isinstance(source, RawShape):
        source.check(serving.limits)
    return data, source


def _request_id(headers: dict[bytes, bytes]) -> str:
    """The client's own id if it is a plain one, else a new one."""
    given = headers.get(b"x-request-id")
    if given is not None and len(given) <= _MAX_REQUEST_ID and given.replace(b"-", b"").isalnum():
        return given.decode("ascii")
    return f"{random.getrandbits(64):016x}"  # an id to search logs by, not a secret


def _render(result: Classification, *, listed: bool) -> bytes:
    """One image's labels under `predictions`; with `?count=`, a list under `images`."""
    answer: dict[str, Any] = {"model": result.model, "version": result.version}
    if listed:
        answer["images"] = [{"predictions": predictions} for predictions in result.images]
    else:
        answer["predictions"] = result.images[0]
    return orjson.dumps(answer)


def _server_timing(timings: Timings, total: float) -> bytes:
    """A Server-Timing header: durations in milliseconds."""
    return (
        f"decode;dur={timings.decode_seconds * _MILLISECONDS:.3f}, "
        f"resize;dur={timings.resize_seconds * _MILLISECONDS:.3f}, "
        f"queue;dur={timings.queue_seconds * _MILLISECONDS:.3f}, "
        f"inference;dur={timings.inference_seconds * _MILLISECONDS:.3f}, "
        f"total;dur={total * _MILLISECONDS:.3f}"
    ).encode()


def _stages(timings: Timings | None) -> dict[str, float]:
    if timings is None:
        return {}
    return {
        "decode_seconds": round(timings.decode_seconds, 6),
        "resize_seconds": round(timings.resize_seconds, 6),
        "queue_seconds": round(timings.queue_seconds, 6),
        "inference_seconds": round(timings.inference_seconds, 6),
    }
