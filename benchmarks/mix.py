"""Well-behaved clients' requests over all routes, and whether what came back is what a client may expect.

The right answer to each is what the service says when it is asked alone, before the load begins. Routes that the
service does not have are left out, and said so.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from benchmarks import answers, oip, workloads
from benchmarks.answers import Told
from benchmarks.load_figures import OK, REFUSALS, TIMED_OUT
from benchmarks.workloads import Payload, Pixels
from loadgen import tables
from loadgen.asking import ask
from loadgen.http1 import render
from loadgen.plan import Sample

RIGHT, REFUSED, WRONG, LOST = "right", "refused", "wrong", "no answer"
NOT_FOUND = 404


@dataclass(frozen=True, slots=True)
class Ask:
    """A request of a kind, and what may come back: a status, and for each image the labels that are right."""

    kind: str
    message: bytes
    status: int = OK
    labels: Sequence[frozenset[str]] = field(default=())


def good_asks(model: str, payloads: Iterable[Payload]) -> list[Ask]:
    """Every image over every route that takes it: files as files, pixels raw and over the protocol, also in threes."""
    asks = []
    for payload in payloads:
        if isinstance(payload, bytes):
            asks.append(Ask("classify file", workloads.request(payload, model=model)))
            continue
        one, three = payload[np.newaxis], np.stack([payload, payload[::-1], payload[:, ::-1]])
        asks += [
            Ask("classify raw", workloads.request(payload, model=model)),
            Ask("classify three", workloads.request(three, model=model)),
            Ask("OIP binary", oip.infer(model, one, binary=True)),
            Ask("OIP binary three", oip.infer(model, three, binary=True)),
        ]
        if payload.nbytes < oip.JSON_SENSIBLE_BYTES:
            asks.append(Ask("OIP JSON", oip.infer(model, one, binary=False)))
    return asks


def bad_asks(model: str, payload: Pixels) -> list[Ask]:
    """What clients do wrong every day; each must be refused with its status, as long as the load lasts."""
    raw = workloads.request(payload, model=model)
    return [
        Ask("wrong length", raw.replace(b"height=", b"height=1"), 400),
        Ask("unknown model", workloads.request(payload, model="nobody"), NOT_FOUND),
        Ask("not an image", workloads.request(b"\xff\xd8\xff" + bytes(500), model=model), 422),
        Ask("media type", render("POST", f"/v1/classify?model={model}", b"<a/>", Content_Type="text/xml"), 415),
        Ask("unknown path", render("POST", "/v1/nothing", b"{}", Content_Type="application/json"), NOT_FOUND),
    ]


def with_right_answers(address: tuple[str, int], asks: Iterable[Ask]) -> tuple[list[Ask], list[str]]:
    """The good asks with their answers, each asked alone; and the kinds left out for want of their route."""
    ready, missing = [], []
    for one in asks:
        response = ask(address, one.message)
        if response.status == OK:
            ready.append(replace(one, labels=answers.likely_labels(response)))
        elif response.status == NOT_FOUND and one.kind.startswith("OIP"):
            missing.append(one.kind)
        else:
            raise SystemExit(f"a lone {one.kind} was answered {response.status}: {response.body[:300]!r}")
    return ready, list(dict.fromkeys(missing))


def judge(asked: Ask, answer: Sample) -> tuple[str, str]:
    """One of RIGHT, REFUSED, WRONG, LOST, and the reason of the latter two.

    A refusal is honest if overload or a stop explains it and, where a client should come again, it says when.
    """
    seen = answer.seen
    if not answer.status:
        return LOST, str(seen)
    if answer.status in REFUSALS:
        return (REFUSED, "") if answer.retry_after is not None else (WRONG, f"{answer.status} without Retry-After")
    if answer.status == TIMED_OUT:
        return REFUSED, ""
    if answer.status != asked.status:
        return WRONG, f"{asked.kind}: status {answer.status}, {seen}"
    if asked.status != OK:
        return RIGHT, ""
    if not isinstance(seen, Told) or len(seen.labels) != len(asked.labels):
        return WRONG, f"{asked.kind}: {seen}"
    if any(label not in right for label, right in zip(seen.labels, asked.labels, strict=True)):
        return WRONG, f"{asked.kind}: {seen.labels}, not {[sorted(right) for right in asked.labels]}"
    return RIGHT, ""


@dataclass(frozen=True, slots=True)
class Judged:
    """All answers of a run: how many of each kind were judged how, and the reasons."""

    counts: Mapping[str, Mapping[str, int]]
    wrong: Sequence[str]
    lost: Sequence[str]


def judge_all(asks: Sequence[Ask], given: Iterable[Sample]) -> Judged:
    """Each answer against what was asked."""
    counts: dict[str, Counter[str]] = {}
    reasons: dict[str, list[str]] = {WRONG: [], LOST: []}
    for answer in given:
        asked = asks[answer.request]
        verdict, reason = judge(asked, answer)
        counts.setdefault(asked.kind, Counter())[verdict] += 1
        if verdict in reasons:
            reasons[verdict].append(reason)
    return Judged({kind: dict(found) for kind, found in counts.items()}, reasons[WRONG], reasons[LOST])


def markdown(judged: Judged) -> str:
    """How many of each kind were judged how."""
    verdicts = (RIGHT, REFUSED, WRONG, LOST)
    lines = [(kind, *(str(count.get(one, 0)) for one in verdicts)) for kind, count in sorted(judged.counts.items())]
    return tables.markdown(tables.of([("request", *verdicts), *lines]))


def ask_all(address: tuple[str, int], asks: Iterable[Ask]) -> list[Sample]:
    """Each asked once, alone, one after the other."""
    given = []
    for number, one in enumerate(asks):
        response = ask(address, one.message)
        given.append(Sample(number, 0.0, 0.0, 0.0, response, seen=answers.told(response)))
    return given
