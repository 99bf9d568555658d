"""A unary RPC that is not inference: its message received within a bound, its errors turned into statuses.

What lives here: what is the same for all of them. What does not: what each answers (`grpc_api.servicer`,
`grpc_api.health`).
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
    """A handler that receives a message of `kind` as one of `calls`, and sends what `answer` makes of it."""

    async def handle(_: object, context: Any) -> bytes:
        try:
            with calls.of(context.peer()) as call:
                message = await call.receive(context.read)
                return to_bytes(await answer(read_message(kind, message)))
        except TopfiveError as error:
            refused: Exception = error
        except Exception as error:  # noqa: BLE001  # a defect of ours must answer too, and leave its trace in the log
            refused = error
        return await refuse_with(context, refused)

    return handle


async def refuse_with(context: Any, error: Exception) -> NoReturn:
    """End the RPC of `context` with `error`; one that is our fault is logged."""
    request_id = request_id_of(given(context).request_id)
    refusal = refusal_of(error, request_id)
    if refusal.status is grpc.StatusCode.INTERNAL:
        log_failure(request_id, error)
    await refuse(context, refusal)


def to_bytes(message: Any) -> bytes:
    """`message` as it travels."""
    data: bytes = message.SerializeToString()
    return data
