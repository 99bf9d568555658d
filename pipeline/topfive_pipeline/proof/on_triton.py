"""Serves a repository with a real tritonserver, where there is one, and compares its answers.

What lives here: finding the program, its process, and requests to it. What does not: what the answers should be.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, Final

import numpy as np
from numpy.typing import NDArray

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.proof.programs import ending_with
from topfive_pipeline.proof.verdict import Finding

STEP: Final = "triton"
PROGRAM: Final = "tritonserver"
_LOCAL: Final = "127.0.0.1"
_START_SECONDS: Final = 180.0
_STOP_SECONDS: Final = 10.0
_ANSWER_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.1
_LINES: Final = 4
"""Lines at the end of its log that are told if it does not start."""

Asked = Mapping[str, Sequence[tuple[NDArray[np.uint8], Mapping[str, NDArray[Any]]]]]
"""By model: images UINT8 [H, W, 3], and the outputs that its graphs give for each, as a batch of 1."""


def find(said: Path | None) -> Path | None:
    """The program that `--tritonserver` says, or that of the PATH; None if there is none.

    Raises `ConfigurationError` if the one that was said is no program.
    """
    if said is None:
        there = shutil.which(PROGRAM)
        return Path(there) if there is not None else None
    if not (said.is_file() and os.access(said, os.X_OK)):
        raise ConfigurationError(f"--tritonserver {said}: there is no such program; name the file that starts Triton")
    return said


def compare(
    program: Path, repository: Path, asked: Asked, *, tolerance: float, figures: dict[str, float] | None = None
) -> Finding:
    """Load all of `repository` into Triton, and hold its answers to those of `asked`, at most `tolerance` apart.

    The figure `triton_difference_max` is added to `figures`.
    """
    try:
        with serving(program, repository) as client:
            return hold(client, asked, tolerance=tolerance, figures=figures)
    except ConfigurationError as error:
        return Finding(STEP, False, str(error))


def hold(client: Any, asked: Asked, *, tolerance: float, figures: dict[str, float] | None = None) -> Finding:
    """As `compare`, of a Triton that is there; raises `ConfigurationError` if it does not answer."""
    worst, count = 0.0, 0
    for model, images in asked.items():
        for image, expected in images:
            found = infer(client, image, model=model, outputs=sorted(expected))
            count += 1
            if found["classes"].tolist() != expected["classes"].tolist():
                labels, own = (_labels(each) for each in (found, expected))
                return Finding(STEP, False, f"{model}: Triton answers {labels}, but its graphs {own}")
            worst = max(worst, float(np.abs(found["probabilities"] - expected["probabilities"]).max()))
    if figures is not None:
        figures["triton_difference_max"] = worst
    said = f"loaded by Triton; the labels of {count} images are the same, and probabilities differ by {worst:.1e}"
    return Finding(STEP, worst <= tolerance, said)


@contextmanager
def serving(program: Path, repository: Path) -> Iterator[Any]:
    """A gRPC client of a Triton that serves `repository`; raises `ConfigurationError` with the end of its log."""
    http, grpc = _free_ports()
    options = {
        "model-repository": repository,
        "http-address": _LOCAL,
        "http-port": http,
        "grpc-address": _LOCAL,
        "grpc-port": grpc,
        "allow-metrics": "false",
        "exit-timeout-secs": int(_STOP_SECONDS / 2),
    }
    with TemporaryFile() as log:
        command = [str(program), *(f"--{name}={value}" for name, value in options.items())]
        process = subprocess.Popen(  # noqa: S603  # the program that the user named, or has in the PATH
            ending_with(os.getpid(), command), stdin=subprocess.DEVNULL, stdout=log, stderr=log, process_group=0
        )
        try:
            with closing(_client(f"{_LOCAL}:{grpc}")) as client:
                _wait(client, process, log, repository)
                yield client
        finally:
            _stop(process)


def infer(client: Any, image: NDArray[np.uint8], *, model: str, outputs: Sequence[str]) -> dict[str, NDArray[Any]]:
    """The `outputs` of `model` for one image, as a batch of 1, texts as `str`; raises `ConfigurationError`."""
    import tritonclient.grpc as triton

    batch = image[np.newaxis]
    tensor = triton.InferInput("image", batch.shape, "UINT8").set_data_from_numpy(batch)
    wanted = [triton.InferRequestedOutput(name) for name in outputs]
    try:
        answer = client.infer(model, [tensor], outputs=wanted, client_timeout=_ANSWER_SECONDS)
    except triton.InferenceServerException as error:
        raise ConfigurationError(f"Triton does not answer for '{model}': {error.message()}") from error
    found = {name: answer.as_numpy(name) for name in outputs}
    return {name: np.char.decode(each.astype("S")) if each.dtype == object else each for name, each in found.items()}


def _client(url: str) -> Any:
    import tritonclient.grpc as triton  # takes a third of a second, which only those pay who have a Triton

    return triton.InferenceServerClient(url)


def _wait(client: Any, process: subprocess.Popen[bytes], log: IO[bytes], repository: Path) -> None:
    """Return when all models are loaded."""
    end = time.monotonic() + _START_SECONDS
    while not _ready(client):
        if process.poll() is not None or time.monotonic() > end:
            log.seek(0)
            lines = [line for line in log.read().decode(errors="replace").splitlines() if line.strip()]
            errors = [line for line in lines if line.startswith("E") or "UNAVAILABLE" in line] or lines
            raise ConfigurationError(
                f"Triton cannot serve {repository}: {' / '.join(errors[-_LINES:]) or 'it said nothing'}"
            )
        time.sleep(_POLL_SECONDS)  # polling another process


def _ready(client: Any) -> bool:
    from tritonclient.utils import InferenceServerException

    try:
        return bool(client.is_server_ready(client_timeout=1.0))
    except InferenceServerException:
        return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End it and the processes of its models, which are its group."""
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # not reaped yet, so its number is still its own
        process.wait()


def _free_ports() -> tuple[int, int]:
    with socket.socket() as first, socket.socket() as second:
        for each in (first, second):
            each.bind((_LOCAL, 0))
        return first.getsockname()[1], second.getsockname()[1]


def _labels(outputs: Mapping[str, NDArray[Any]]) -> list[str]:
    return [str(label) for label in outputs["classes"][0].tolist()]
