"""What a must-pass case expects of an answer, and whether an answer is so.

What lives here: the fields of `expect` in a `cases.yaml`, and the judgement of one answer. What does not: the files,
and asking (`gating.cases`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Final

from pydantic import Field, model_validator

from topfive_pipeline.gating.answers import Answer, Prediction
from topfive_pipeline.gating.client import OK
from topfive_pipeline.gating.strict_yaml import Strict

_Share = Annotated[float, Field(ge=0, le=1)]
_POINTS: Final = 100
_SHOWN: Final = 3
_WITHIN: Final = 0.02


class Expectation(Strict):
    """What must be so; all of what is said.

    `label` or `index`: one of these is among the first `top` labels; `probability`: and has a probability from the
    first to the second number. `not_sure`: the first label is less probable than this. `status`, `code`: of the answer;
    200 alone says that it must be answered. `like`: a file of the same folder, to which the same label is answered
    first, with a probability that differs by no more than `within`.
    """

    label: str | list[str] | None = None
    index: int | list[int] | None = None
    top: Annotated[int, Field(ge=1)] = 1
    probability: Annotated[list[_Share], Field(min_length=2, max_length=2)] | None = None
    not_sure: _Share | None = None
    status: Annotated[int, Field(ge=200, le=599)] | None = None
    code: str | None = None
    like: str | None = None
    within: _Share = _WITHIN

    @model_validator(mode="after")
    def _means_something(self) -> Expectation:
        said = self.model_fields_set
        answers = said & {"label", "index", "top", "probability", "not_sure", "like", "within"}
        if not said:
            raise ValueError("it expects nothing; say label, index, not_sure, like, status or code")
        if answers and self.is_refusal:
            raise ValueError(f"a refusal has no labels; take {' and '.join(sorted(answers))} out, or status and code")
        if self.label is not None and self.index is not None:
            raise ValueError("say label or index, not both")
        if said & {"top", "probability"} and self.label is None and self.index is None:
            raise ValueError("top and probability are of a label: say label or index too")
        if "within" in said and self.like is None:
            raise ValueError("within is of `like`: say like too")
        if self.probability is not None and self.probability[0] > self.probability[1]:
            raise ValueError("probability is [lowest, highest], as [0.6, 1.0]")
        if [] in (self.label, self.index):
            raise ValueError("an empty list can never be met; name a label")
        return self

    @property
    def is_refusal(self) -> bool:
        return self.code is not None or self.status not in (None, OK)

    @property
    def words(self) -> str:
        """What is wanted, for reports."""
        return " and ".join(self._wanted())

    def _wanted(self) -> Iterator[str]:
        if self.is_refusal:
            yield " ".join(["refused:", *(str(each) for each in (self.status, self.code) if each is not None)])
            return
        if names := self._names:
            place = "first" if self.top == 1 else f"in the first {self.top}"
            yield f"{' or '.join(names)} {place}"
        if self.probability is not None:
            low, high = (f"{share:.0%}" for share in self.probability)
            yield f"with {low} to {high}"
        if self.not_sure is not None:
            yield f"first label below {self.not_sure:.0%}"
        if self.like is not None:
            yield f"as {self.like}, within {self.within * _POINTS:g} points"
        if self.status == OK:
            yield "answered"

    @property
    def _names(self) -> list[str]:
        if self.label is not None:
            return [self.label] if isinstance(self.label, str) else self.label
        indices = self.index if isinstance(self.index, list) else [] if self.index is None else [self.index]
        return [f"index {index}" for index in indices]

    def is_met(self, answer: Answer, like: Answer | None) -> bool:
        """Whether `answer` is as expected; `like`: what is answered to the file of that name, if one is said."""
        if self.is_refusal:
            same_status = answer.status == self.status if self.status is not None else answer.status != OK
            return same_status and self.code in (None, answer.code)
        if answer.status != OK:
            return False
        named = [each for each in answer.predictions[: self.top] if self._is_one(each)]
        if self._names and not any(self._is_probable(each) for each in named):
            return False
        first = answer.first
        if self.not_sure is not None and first is not None and first.probability >= self.not_sure:
            return False
        return self.like is None or (like is not None and self._is_like(answer, like))

    def _is_one(self, prediction: Prediction) -> bool:
        return prediction.label in self._names or f"index {prediction.index}" in self._names

    def _is_probable(self, prediction: Prediction) -> bool:
        return self.probability is None or self.probability[0] <= prediction.probability <= self.probability[1]

    def _is_like(self, answer: Answer, like: Answer) -> bool:
        if answer.first is None or like.first is None:
            return answer.status == like.status and answer.first is like.first
        same = answer.first.label == like.first.label
        return same and abs(answer.first.probability - like.first.probability) <= self.within


def seen(answer: Answer, *, top: int = 1) -> str:
    """What was answered, for reports: the first labels with their probabilities, or the refusal."""
    if answer.status != OK:
        return f"refused: {answer.status} {answer.code}".rstrip()
    shown = answer.predictions[: max(1, min(top, _SHOWN))]
    return ", ".join(f"{each.label} {each.probability:.1%}" for each in shown) or "no label"
