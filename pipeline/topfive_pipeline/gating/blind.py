"""One person's judging, blind: which photo comes next, whose answer is at which side, and what is kept.

What lives here: the order of things. What does not: HTTP (`gating.blind_server`) and the page.

Order and sides follow from the seed and the judge's name alone, so who comes back goes on where they stopped. Each
answer is left on half of the photos. Nothing that says which is which leaves this module before the last photo is
judged.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from threading import Lock
from typing import Final, Literal, get_args

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.gating.answers import Answer
from topfive_pipeline.gating.contest import Contest, contest, population, sampled
from topfive_pipeline.gating.differing import Differing, Question, said
from topfive_pipeline.gating.judgements import Judgement, Side, Store, Verdict
from topfive_pipeline.gating.tally import Tally, tally

Choice = Literal["left", "right", "equal", "neither"]
CHOICES: Final[Mapping[str, Choice]] = {choice: choice for choice in get_args(Choice)}
"""By their own names, for what comes from outside."""
_SIDES: Final[tuple[Side, Side]] = ("candidate", "live")


class NotAsked(Exception):
    """A choice that is not of the question that is asked now: of another window, or sent twice."""


def now() -> str:
    """This moment in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


class Session:
    """The judging of one `judge`. Safe for several threads.

    `standing`: what was said before, by all judges. `most`: judge no more than so many photos, the same ones for all
    judges with this seed. Raises `ConfigurationError` if there is nothing to judge.
    """

    def __init__(
        self,
        differing: Differing,
        store: Store,
        *,
        judge: str,
        standing: Sequence[Judgement] = (),
        seed: int = 0,
        most: int | None = None,
        clock: Callable[[], str] = now,
    ) -> None:
        if not differing.questions:
            raise ConfigurationError("the two differ on no photo, so there is nothing to judge")
        self._differing = differing
        self._store = store
        self._judge: Final = judge
        self._seed = seed
        self._clock = clock
        self._lock = Lock()
        self._said = {(each.judge, each.question): each for each in standing}
        # Copies of a file are asked once.
        every = list({question.key: question for question in differing.questions}.values())
        random.Random(seed).shuffle(every)  # noqa: S311  # an order, not a secret
        self._order = every[:most]
        shuffled = random.Random(f"{seed} {judge}")  # noqa: S311
        shuffled.shuffle(self._order)
        sides = [_SIDES[place % 2] for place in range(len(self._order))]
        shuffled.shuffle(sides)
        self._left = {question.key: side for question, side in zip(self._order, sides, strict=True)}
        self._revealed = self._next() is None

    @property
    def photos(self) -> int:
        return len(self._order)

    @property
    def done(self) -> int:
        """How many of them this judge has judged."""
        with self._lock:
            return len(self._mine())

    def photo(self, number: int) -> Question:
        """The question with this number in the judge's order, from 0; raises `IndexError`."""
        if number < 0:
            raise IndexError(number)
        return self._order[number]

    def state(self) -> dict[str, object]:
        """What the page shows: the photo that comes next with both answers, or that all are judged."""
        with self._lock:
            return self._state()

    def result(self) -> dict[str, object]:
        """Who won, and whose answer was whose; from now on nothing can be undone.

        Raises `NotAsked` if a photo is left.
        """
        with self._lock:
            if self._next() is not None:
                raise NotAsked
            self._revealed = True
            return self._result()

    def choose(self, number: int, choice: Choice) -> dict[str, object]:
        """Store what was chosen for question `number`; the state after it.

        Raises `NotAsked` if another question is asked, and `OSError` if it could not be stored.
        """
        with self._lock:
            if number != self._next():
                raise NotAsked
            question = self._order[number]
            left = self._left[question.key]
            verdicts: Mapping[Choice, Verdict] = {
                "left": left,
                "right": _other(left),
                "equal": "equal",
                "neither": "neither",
            }
            self._keep(question, verdicts[choice])
            return self._state()

    def undo(self) -> dict[str, object]:
        """Withdraw what this judge said last; the state after it.

        Raises `NotAsked` if nothing is said yet, or the result was seen.
        """
        with self._lock:
            mine = self._mine()
            if not mine or self._revealed:
                raise NotAsked
            keys = {question.key: question for question in self._order}
            self._keep(keys[mine[-1].question], "undone")
            return self._state()

    def _keep(self, question: Question, verdict: Verdict) -> None:
        judgement = Judgement(
            question=question.key,
            photo=question.digest,
            judge=self._judge,
            verdict=verdict,
            left=self._left[question.key],
            seed=self._seed,
            at=self._clock(),
        )
        self._store.add(judgement)
        key = (self._judge, question.key)
        self._said.pop(key, None)
        if verdict != "undone":
            self._said[key] = judgement

    def _mine(self) -> list[Judgement]:
        """What this judge said of these questions, in the order of time."""
        return [each for each in self._said.values() if each.judge == self._judge and each.question in self._left]

    def _next(self) -> int | None:
        for number, question in enumerate(self._order):
            if (self._judge, question.key) not in self._said:
                return number
        return None

    def _state(self) -> dict[str, object]:
        number = self._next()
        done = len(self._mine())
        state: dict[str, object] = {
            "judge": self._judge,
            "photos": self.photos,
            "done": done,
            "can_undo": done > 0 and not self._revealed,
            "question": None,
        }
        if number is None:
            return state
        question = self._order[number]
        sides: Mapping[Side, Answer] = {"candidate": question.candidate, "live": question.live}
        left = self._left[question.key]
        shown = {"number": number, "left": _shown(sides[left]), "right": _shown(sides[_other(left)])}
        return {**state, "question": shown}

    def _result(self) -> dict[str, object]:
        counted, who = count(self._differing, self._said.values())
        mine = {each.question: each.verdict for each in self._mine()}
        return {
            **who.as_figures(),
            **counted.as_figures(),
            "rows": [
                {
                    "number": number,
                    "file": question.photo.name,
                    "candidate": said(question.candidate),
                    "live": said(question.live),
                    "verdict": mine[question.key],
                }
                for number, question in enumerate(self._order)
            ],
        }


def count(differing: Differing, said: Iterable[Judgement]) -> tuple[Tally, Contest]:
    """What all judges said, counted, and who wins by that, photos counting alike."""
    keys = {question.key for question in differing.questions}
    counted = tally(said, keys)
    differs = [place < len(differing.questions) for place in range(differing.photos)]
    behind = sampled(population(differs), len(counted.signs) / len(keys) if keys else 1.0)
    return counted, contest(list(counted.signs.values()), behind)


def _other(side: Side) -> Side:
    return "live" if side == "candidate" else "candidate"


def _shown(answer: Answer) -> dict[str, object]:
    """An answer without whose it is."""
    return {
        "predictions": [{"label": each.label, "probability": each.probability} for each in answer.predictions],
        "refusal": "" if answer.predictions else said(answer),
    }
