"""Asks both contestants about the same photos, each photo at about the same time, a few at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Lock
from typing import Final

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.gating.answers import Answer, PhotoAnswers
from topfive_pipeline.gating.client import Client
from topfive_pipeline.gating.contestants import Pair
from topfive_pipeline.proof.photos import Photo

AT_ONCE: Final = 4
"""Photos under way: enough to keep two servers busy, few enough to be refused by none."""

Progress = Callable[[int, int], None]
"""Is told how many photos are done, of how many."""


def answers_of(pair: Pair, photos: Sequence[Photo], progress: Progress) -> PhotoAnswers:
    """What both answer to `photos`, sent as the files that they are.

    Raises `Unreachable` if a server does not answer, and `ConfigurationError` if a photo cannot be read.
    """
    asked = _Asked(pair, photos, progress)
    with ThreadPoolExecutor(AT_ONCE) as threads:
        for ended in [threads.submit(asked.every, AT_ONCE, start) for start in range(AT_ONCE)]:
            ended.result()
    found = [asked.found[place] for place in range(len(photos))]
    return PhotoAnswers(tuple(photos), tuple(each[0] for each in found), tuple(each[1] for each in found))


class _Asked:
    """Photos that several threads ask about; what one of them raises ends all."""

    def __init__(self, pair: Pair, photos: Sequence[Photo], progress: Progress) -> None:
        self.found: dict[int, tuple[Answer, Answer]] = {}
        self._pair = pair
        self._photos = photos
        self._progress = progress
        self._lock = Lock()
        self._failed = Event()

    def every(self, step: int, start: int) -> None:
        """Ask about every so many photos, from one on, on connections of its own."""
        try:
            with Client(self._pair.candidate) as candidate, Client(self._pair.live) as live:
                for place in range(start, len(self._photos), step):
                    if self._failed.is_set():
                        return
                    body = _content(self._photos[place])
                    answers = candidate.classify(body), live.classify(body)
                    with self._lock:
                        self.found[place] = answers
                        self._progress(len(self.found), len(self._photos))
        except BaseException:  # also an interrupt: the other threads must not go on asking
            self._failed.set()
            raise


def _content(photo: Photo) -> bytes:
    try:
        return photo.path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{photo.path}: it cannot be read ({error.strerror or error})") from error
