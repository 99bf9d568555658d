"""Misbehaving gRPC clients: silent connections, and calls that stay open and send no message.

Each kind is a function as in `nasty`; its words are gRPC statuses.
"""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from random import Random
from typing import Any, Final

import grpc
from tritonclient.grpc import service_pb2

from benchmarks import repositories
from benchmarks.nasty import Nastiness, Victim
from benchmarks.wire import LEFT, Wire

INFER = "/inference.GRPCInferenceService/ModelInfer"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(
    (0, 0, 0, 4, 0, 0, 0, 0, 0)
)  # the preface, and an empty SETTINGS frame
CONNECTIONS, CALLS, STAY_SECONDS = 30, 20, 0.5
PATIENCE_SECONDS = 15.0
WRONG, EMPTY = "wrong", "empty"


def idle_connections(victim: Victim, chance: Random) -> Sequence[str]:
    """Open connections that send the preface, or nothing, and then stay silent."""
    with ExitStack() as stack:
        wires = [stack.enter_context(Wire(victim.grpc_address)) for _ in range(CONNECTIONS)]
        for wire in wires:
            wire.send(chance.choice((b"", PREFACE, PREFACE[:10])))
        time.sleep(STAY_SECONDS)  # keep the connection open meanwhile
        return [LEFT] * CONNECTIONS


def silent_calls(victim: Victim, chance: Random) -> Sequence[str]:
    """Make calls over one connection that never send their message."""
    gone = threading.Event()

    def nothing() -> Iterator[bytes]:
        gone.wait()
        yield from ()

    with _channel(victim) as channel:
        calls = [channel.stream_unary(INFER).future(nothing()) for _ in range(CALLS)]
        time.sleep(STAY_SECONDS)  # keep the connection open meanwhile
        words = [call.code().name if call.done() else LEFT for call in calls]
        for call in calls:
            call.cancel()
        gone.set()
    return words


def spoilt_message(victim: Victim, chance: Random) -> Sequence[str]:
    """Send bytes that are no message, or an empty message."""
    return [_call(victim, chance.choice((b"", chance.randbytes(1000), b"\x0a\xff\xff\xff\xff\x7f")))[0]]


def good(victim: Victim, chance: Random) -> Sequence[str]:
    """Send a good image, which must be answered right."""
    value = chance.randrange(repositories.BRIGHTEST)
    request = service_pb2.ModelInferRequest(model_name=repositories.STURDY)
    request.inputs.add(name="image", datatype="UINT8", shape=(1, 2, 2, 3))
    request.outputs.add(name="classes")
    request.raw_input_contents.append(repositories.image(value).tobytes())
    word, message = _call(victim, request.SerializeToString())
    right = f"value {value}".encode()
    return [word if word != "OK" or right in message else WRONG]


def _call(victim: Victim, message: bytes) -> tuple[str, bytes]:
    """The status of a call with this message, and its answer."""
    with _channel(victim) as channel:
        try:
            return "OK", channel.unary_unary(INFER)(message, timeout=PATIENCE_SECONDS)
        except grpc.RpcError as error:
            return error.code().name, b""


def _channel(victim: Victim) -> Any:
    """A channel with its own connection: by default gRPC shares one within the process."""
    host, port = victim.grpc_address
    return grpc.insecure_channel(f"{host}:{port}", [("grpc.use_local_subchannel_pool", 1)])


KINDS: Final[Mapping[str, Nastiness]] = {
    "gRPC: idle connections": idle_connections,
    "gRPC: calls without a message": silent_calls,
    "gRPC: spoilt message": spoilt_message,
    "gRPC: good": good,
}
