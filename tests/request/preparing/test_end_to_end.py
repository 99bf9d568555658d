"""Clients with files that are dear to decode cost the others nothing: a service as it runs, its processes included."""

from __future__ import annotations

import signal
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil
from PIL import Image

from tests.request.preparing.test_decoder import SMALL
from tests.testkit.image_files import encode
from tests.testkit.serving_process import Answer, ServingProcess, classify_path, serving
from tests.testkit.tiny_models import write_tiny_repository

JPEG: Final = "image/jpeg"
LARGE: Final = encode(Image.new("RGB", (3000, 3000)), "WEBP", lossless=True)
QUERY: Final = {"model": "tiny"}


def decoders(service: ServingProcess) -> list[psutil.Process]:
    found = []
    for each in psutil.Process(service.pid).children():
        with suppress(psutil.NoSuchProcess):  # it has ended since it was listed
            if each.status() != psutil.STATUS_ZOMBIE:
                found.append(each)
    return found


def test_dear_files_are_bounded_ended_and_cost_the_others_nothing(tmp_path: Path) -> None:
    flags = ["--model-repository", str(write_tiny_repository(tmp_path)), "--prepare-threads", "1", "--no-grpc"]
    flags += ["--max-queue-wait-seconds", "0.5"]
    with serving(*flags) as service:
        assert service.classify(SMALL, JPEG, **QUERY).status == 200
        assert decoders(service) == []  # until something dear has come

        # Its deadline ends a decode.
        service.classify(LARGE, timeout_ms=50, **QUERY).assert_error(504, "deadline_exceeded")
        service.wait_until(lambda: decoders(service) == [])

        # So does its client's leaving.
        with service.open_socket() as left:
            head = f"POST {classify_path(**QUERY)} HTTP/1.1\r\nHost: t\r\nContent-Length: {len(LARGE)}\r\n\r\n"
            left.sendall(head.encode() + LARGE)
            service.wait_until(lambda: decoders(service) != [])
        service.wait_until(lambda: decoders(service) == [])
        assert service.metric("topfive_rejected_total", reason="client_disconnected") == 1

        # Many of them are refused once the wait is too long, and small files never.
        answers: list[Answer] = []

        def attack() -> None:
            answers.append(service.classify(LARGE, **QUERY))

        attackers = [threading.Thread(target=attack) for _ in range(12)]
        for attacker in attackers:
            attacker.start()
        while any(attacker.is_alive() for attacker in attackers):
            assert service.classify(SMALL, JPEG, **QUERY).status == 200
        assert {answer.status for answer in answers} == {200, 429}
        refused = next(answer for answer in answers if answer.status == 429)
        assert "wait to be decoded" in refused.assert_error(429, "queue_full")
        assert int(refused.headers["retry-after"]) >= 1
        assert service.metric("topfive_in_flight_bytes") == 0

        # A crash in a decoder is its file's fault, and a stop leaves none behind.
        (decoder,) = decoders(service)
        decoder.send_signal(signal.SIGSEGV)
        service.classify(LARGE, **QUERY).assert_error(422, "undecodable_image")
        assert service.classify(LARGE, **QUERY).status == 200
        (decoder,) = decoders(service)
        assert service.stop() == 0
        assert not decoder.is_running()
