"""A thread that asks a server for its health during a whole run; `liveness` decides what the answers mean."""

from __future__ import annotations

import threading
import time
import urllib.error
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPException
from types import TracebackType
from typing import Final, Self

from loadtests import liveness, target
from loadtests.liveness import Liveness, Seen, Sighting

LIVE, READY = "/v2/health/live", "/v2/health/ready"
_OK: Final = 200
_SHOWN: Final = 120  # characters of an answer that are quoted

Clock = Callable[[], float]


class Watch:
    """Asks until the end of the `with` block, and says at once what it sees.

    A server whose health is not good before the load begins is only watched for its death, which is said.
    """

    def __init__(
        self,
        url: str,
        following: Liveness,
        *,
        say: Callable[[str], None],
        clock: Clock = time.monotonic,
        every_seconds: float = liveness.EVERY_SECONDS,
    ) -> None:
        self._every_seconds = every_seconds
        self._url = url
        self._following = following
        self._say = say
        self._clock = clock
        self._asked = [LIVE, READY]
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch")

    def __enter__(self) -> Self:
        for path in (LIVE, READY):
            if self._ask([path]).seen == "not ready":
                self._asked.remove(path)
                self._say(f"{self._url}{path} is not 200 before the load: the run is not ended by it later")
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        self._following.finish()

    def join(self) -> None:
        """Wait until the server is lost."""
        self._thread.join()

    def look(self) -> None:
        """Ask once, and say what is to be said."""
        if said := self._following.see(self._ask(self._asked or [LIVE])):
            self._say(said)

    def _run(self) -> None:
        while not self._ended.is_set() and self._following.lost is None:
            self.look()
            self._ended.wait(self._every_seconds)

    def _ask(self, paths: list[str]) -> Sighting:
        began = self._clock()
        seen: Seen = "answered"
        detail = ""
        for path in paths:
            seen, detail = outcome(f"{self._url}{path}", seconds=liveness.ANSWER_SECONDS)
            if seen == "not ready" and not self._asked:
                seen = "answered"  # any answer shows its life
            if seen != "answered":
                detail = f"{path}: {detail}"
                break
        return Sighting(began=began, ended=self._clock(), seen=seen, detail=detail)


def outcome(url: str, *, seconds: float) -> tuple[Seen, str]:
    """Ask a server once, and wait at most so long: what came of it, and the same in words."""
    try:
        target.get(url, seconds=seconds)
    except urllib.error.HTTPError as error:
        return "not ready", f"{error.code} {_body(error)}".strip()
    except TimeoutError:
        return "silent", f"no answer within {seconds:g} s"
    except OSError as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        if isinstance(reason, TimeoutError):
            return "silent", f"no answer within {seconds:g} s"
        return "gone", _in_words(reason)
    return "answered", ""


def _body(error: urllib.error.HTTPError) -> str:
    """The beginning of the answer's body, on one line; "" if it does not come: the status says enough."""
    with error, suppress(OSError, HTTPException):
        return " ".join(error.read(_SHOWN).decode(errors="replace").split())
    return ""


def _in_words(reason: object) -> str:
    if isinstance(reason, ConnectionRefusedError):
        return "connection refused"
    if isinstance(reason, ConnectionError):
        return "connection broken off without an answer"
    return str(reason) or type(reason).__name__
