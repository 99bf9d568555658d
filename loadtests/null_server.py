"""A server that answers at once, to measure the generators' own limits.

It reads and discards the whole body, and answers `/v1/classify` and inference requests of the Open Inference Protocol
in the format of topfive, with the first label "null". On request it is a bad server that stalls regularly.

    python -m loadtests.null_server --port 0        prints its port, then the begin and end of each stall, by the
                                                    clock of time.monotonic
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import struct
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from loadtests.queries import NULL_LABEL
from topfive_loadgen.event_loop import punctual
from topfive_loadgen.http1 import CONTENT_LENGTH, HEAD_END
from topfive_loadgen.tensors import JSON_LENGTH

LABELS: Final = (NULL_LABEL, *(f"null {place}" for place in range(2, 6)))
PROBABILITIES: Final = (0.5, 0.25, 0.125, 0.0625, 0.03125)
MODEL: Final = "null"
CLASSIFY: Final = "/v1/classify"
INFER: Final = re.compile(r"/v2/models/([^/]+)(?:/versions/[^/]+)?/infer")
HEALTH: Final = re.compile(r"/v2/health/(?:live|ready)|/v2/models/[^/]+(?:/versions/[^/]+)?/ready")
JSON_LENGTH_FIELD: Final = re.compile(rb"\r\n" + JSON_LENGTH.encode() + rb": *(\d+)", re.IGNORECASE)
EXPECT: Final = re.compile(rb"\r\nexpect: *100-continue", re.IGNORECASE)
CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
BACKLOG: Final = 1024
END_SECONDS: Final = 10.0

Tensor = tuple[str, list[Any], bytes]
OUTPUTS: Final[dict[str, Tensor]] = {
    "classes": ("BYTES", [*LABELS], b"".join(struct.pack("<I", len(label)) + label.encode() for label in LABELS)),
    "probabilities": ("FP32", [*PROBABILITIES], struct.pack("<5f", *PROBABILITIES)),
    "indices": ("INT64", [*range(5)], struct.pack("<5q", *range(5))),
}


def answer(status: int, body: bytes, **headers: str) -> bytes:
    """A whole HTTP answer."""
    fields = {"Content-Type": "application/json", **headers, "Content-Length": str(len(body))}
    lines = (f"{name.replace('_', '-')}: {value}" for name, value in fields.items())
    return "\r\n".join((f"HTTP/1.1 {status} Null", *lines, "", "")).encode() + body


def refusal(status: int, why: str) -> bytes:
    """An error answer in the format of topfive."""
    return answer(status, json.dumps({"error": why, "code": "null"}).encode())


CLASSIFIED: Final = answer(
    200,
    json.dumps(
        {
            "model": MODEL,
            "version": "1",
            "predictions": [
                {"label": label, "index": index, "probability": probability}
                for index, (label, probability) in enumerate(zip(LABELS, PROBABILITIES, strict=True))
            ],
        }
    ).encode(),
)


@lru_cache(maxsize=64)  # a load test sends the same few again and again
def inferred(model: str, asked: bytes) -> bytes:
    """The answer to an inference request with this JSON: each output in JSON or binary, as it asks."""
    try:
        document = json.loads(asked)
        by_default = document.get("parameters", {}).get("binary_data_output", False)
        outputs = document.get("outputs") or [{"name": name} for name in OUTPUTS]
        wanted = [(one["name"], one.get("parameters", {}).get("binary_data", by_default)) for one in outputs]
        tensors = [(name, *OUTPUTS[name], binary) for name, binary in wanted]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return refusal(400, f"not an inference request: {error!r}")
    described: list[dict[str, Any]] = []
    for name, datatype, values, raw, binary in tensors:
        shown = {"parameters": {"binary_data_size": len(raw)}} if binary else {"data": values}
        described.append({"name": name, "datatype": datatype, "shape": [1, 5], **shown})
    head: dict[str, Any] = {"model_name": model, "model_version": "1", "outputs": described}
    if "id" in document:
        head["id"] = document["id"]
    text = json.dumps(head).encode()
    tail = b"".join(raw for *_, raw, binary in tensors if binary)
    if not tail:
        return answer(200, text)
    return answer(200, text + tail, Content_Type="application/octet-stream", **{JSON_LENGTH: str(len(text))})


class _Client(asyncio.Protocol):
    """One connection: requests one after the other. Of their bodies, only the JSON of inference requests is kept."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._head = b""
        self._target = ""
        self._kept = b""
        self._keep = 0  # bytes of JSON still to come
        self._left: int | None = None  # bytes of the body still to come; None while a head is read

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        while data:
            if self._left is None:
                self._head += data
                end = self._head.find(HEAD_END)
                if end < 0:
                    return
                data = self._head[end + len(HEAD_END) :]
                self._begin(self._head[:end])
                self._head = b""
            assert self._left is not None
            if self._keep:
                piece = data[: self._keep]
                self._kept += piece
                self._keep -= len(piece)
            taken = min(self._left, len(data))
            self._left -= taken
            data = data[taken:]
            if self._left:
                return
            self._left = None
            assert self._transport is not None
            self._transport.write(self._respond())

    def _begin(self, head: bytes) -> None:
        self._target = head.split(b" ", 2)[1].decode("latin-1").partition("?")[0]
        length = CONTENT_LENGTH.search(head)
        self._left = int(length[1]) if length else 0
        self._kept, self._keep = b"", 0
        if INFER.fullmatch(self._target):
            json_length = JSON_LENGTH_FIELD.search(head)
            self._keep = int(json_length[1]) if json_length else self._left
        if self._transport and EXPECT.search(head):
            self._transport.write(CONTINUE)

    def _respond(self) -> bytes:
        if self._target == CLASSIFY:
            return CLASSIFIED
        if infer := INFER.fullmatch(self._target):
            return inferred(infer[1], self._kept)
        if HEALTH.fullmatch(self._target):
            return answer(200, b"")
        return refusal(404, f"nothing is at {self._target}")


def _stall(loop: asyncio.AbstractEventLoop, due: float, *, seconds: float, every: float) -> None:
    """Block the whole process for a while, and print the times; then schedule the next stall."""
    began = time.monotonic()
    time.sleep(seconds)
    sys.stdout.write(f"{began} {time.monotonic()}\n")
    sys.stdout.flush()
    due += every
    loop.call_at(due, lambda: _stall(loop, due, seconds=seconds, every=every))


async def _serve(options: argparse.Namespace) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Client, options.host, options.port, backlog=BACKLOG)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    if options.stall_seconds:
        due = loop.time() + options.stall_every
        loop.call_at(due, lambda: _stall(loop, due, seconds=options.stall_seconds, every=options.stall_every))
    await server.serve_forever()


class NullServer:
    """A null server as a process, on a free port, from construction to the end of the `with` block."""

    def __init__(self, *, stall_seconds: float = 0.0, stall_every: float = 2.0) -> None:
        options = {"--stall-seconds": stall_seconds, "--stall-every": stall_every}
        command = [sys.executable, "-m", "loadtests.null_server", "--port", "0"]
        command += [str(part) for pair in options.items() for part in pair]
        self._process = subprocess.Popen(  # noqa: S603  # itself
            command, cwd=Path(__file__).resolve().parent.parent, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self._output = self._process.stdout
        self.port = int(self._output.readline())
        self.url = f"http://127.0.0.1:{self.port}"
        self.pid = self._process.pid
        self.stalls: Sequence[tuple[float, float]] = ()
        """The begin and end of each stall; known after the end."""

    def __enter__(self) -> Self:
        return self

    def wait(self) -> None:
        """Wait for the end of its process, which another than this object brought about."""
        self._process.wait(END_SECONDS)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        lines = self._output.read().split("\n")[:-1]
        self._process.wait(END_SECONDS)
        self._output.close()
        self.stalls = [(float(began), float(ended)) for began, ended in map(str.split, lines)]


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until a signal ends it."""
    parser = argparse.ArgumentParser(prog="loadtests.null_server", description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("--host", default="127.0.0.1")
    add("--port", type=int, default=0, help="0 takes a free one")
    add("--stall-seconds", type=float, default=0.0, help="length of each stall")
    add("--stall-every", type=float, default=2.0, help="seconds from the start of one stall to the next")
    with asyncio.Runner(loop_factory=punctual) as runner:
        runner.run(_serve(parser.parse_args(arguments)))


if __name__ == "__main__":
    main()
