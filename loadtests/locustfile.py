"""What Locust does to a service: one photo, as a JPEG and as raw pixels of several sizes, and every answer is checked.

    locust --locustfile loadtests/locustfile.py --host http://127.0.0.1:8000

A user has one request on its way and sends the next with its answer, so N users are N connections that are never idle.
An answer with another label than the expected one is a failure, as is one with another status than 200.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from locust import FastHttpUser, events, task
from PIL import Image

_RAW_SIZES: Final = ((224, 224), (500, 375), (1280, 960))
"""Width and height: the model's own, a thumbnail, a screen."""


@events.init_command_line_parser.add_listener
def _add_options(parser: Any) -> None:
    parser.add_argument("--photo", env_var="LOADTEST_PHOTO", default="docs/coffee.jpg", help="the JPEG to send")
    parser.add_argument(
        "--expect", env_var="LOADTEST_EXPECT", default="espresso", help="the label that is right for it"
    )


@dataclass(frozen=True, slots=True)
class Query:
    """A request, and its name in the statistics."""

    name: str
    path: str
    content_type: str
    body: bytes


@cache
def queries(photo: Path) -> list[Query]:
    """What can be sent; made once, so that the load is the service's and not this program's."""
    made = [Query("JPEG", "/v1/classify", "image/jpeg", photo.read_bytes())]
    with Image.open(photo) as image:
        for width, height in _RAW_SIZES:
            pixels = image.convert("RGB").resize((width, height), Image.Resampling.BICUBIC).tobytes()
            path = f"/v1/classify?height={height}&width={width}"
            made.append(Query(f"raw {width}x{height}", path, "application/octet-stream", pixels))
    return made


class Classify(FastHttpUser):
    """Sends one query after the other, each as likely as any."""

    @task
    def classify(self) -> None:
        """Send one, and check its answer."""
        options = self.environment.parsed_options
        query = random.choice(queries(Path(options.photo)))
        with self.client.post(
            query.path,
            data=query.body,
            headers={"Content-Type": query.content_type},
            name=query.name,
            catch_response=True,
        ) as answer:
            if answer.status_code != 200:
                answer.failure(f"{answer.status_code}: {answer.text}")
                return
            label = json.loads(answer.content)["predictions"][0]["label"]
            if label != options.expect:
                answer.failure(f"{label!r} where {options.expect!r} was expected")
