"""The frame of a unary RPC other than inference: receives its message within bounds, turns errors into statuses.

What does not live here: what each RPC answers (`grpc.servicer`, `grpc.health`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

import grpc

from topfive.ground.errors import TopfiveError
from topfive.grpc.calls import Calls
from topfive.grpc.codec import read_message
from topfive.grpc.refusals import given, refusal_of, refuse
from topfive.serving.reporting import log_failure, request_id_of

Answer = Callable[[Any], Awaitable[Any]]
Handler = Callable[[object, Any], Awaitable[bytes]]


def answering(calls: Calls, kind: Any, answer: Answer) -> Handler:
    """A handler that holds its RPC as one of `calls`, receives a message of `kind`, and sends what `answer` returns."""

    async def handle(_: object, context: Any) -> bytes:
        try:
            with calls.of(context.peer()) as call:
                message = await call.receive(context.read)
                return to_bytes(await answer(read_message(kind, message)))
        except TopfiveError as error:
            refused: Exception = error
        except Exception as error:  # noqa: BLE001  # our own defects are answered and logged too
            refused = error
        return await refuse_with(context, refused)

    return handle


async def refuse_with(context: Any, error: Exception) -> NoReturn:
    """End the RPC of `context` with `error`, and log it if it is our own defect."""
    request_id = request_id_of(given(context).request_id)
    refusal = refusal_of(error, request_id)
    if refusal.status is grpc.StatusCode.INTERNAL:
        log_failure(request_id, error)
    await refuse(context, refusal)


def to_bytes(message: Any) -> bytes:
    """`message` as the bytes that are sent."""
    data: bytes = message.SerializeToString()
    return data
