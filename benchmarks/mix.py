"""Requests of well-behaved clients over all routes, and the judgement of their answers.

The right answer to each request is the one that the service gives before the load begins. Routes that the service does
not have are left out and reported.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from benchmarks import answers, oip, workloads
from benchmarks.answers import Told
from benchmarks.load_figures import OK, REFUSALS, TIMED_OUT
from benchmarks.workloads import Payload, Pixels
from topfive_loadgen import tables
from topfive_loadgen.asking import ask
from topfive_loadgen.http1 import render
from topfive_loadgen.plan import Sample

RIGHT, REFUSED, WRONG, LOST = "right", "refused", "wrong", "no answer"
NOT_FOUND = 404


@dataclass(frozen=True, slots=True)
class Ask:
    """A request of a kind, with its right answer: a status, and for each image the right labels."""

    kind: str
    message: bytes
    status: int = OK
    labels: Sequence[frozenset[str]] = field(default=())


def good_asks(model: str, payloads: Iterable[Payload]) -> list[Ask]:
    """Every image over every route that takes it: files, and pixels raw and over the protocol, also three at once."""
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
    """Common mistakes of clients; each must be refused with its status, during the whole load."""
    raw = workloads.request(payload, model=model)
    return [
        Ask("wrong length", raw.replace(b"height=", b"height=1"), 400),
        Ask("unknown model", workloads.request(payload, model="nobody"), NOT_FOUND),
        Ask("not an image", workloads.request(b"\xff\xd8\xff" + bytes(500), model=model), 422),
        Ask("media type", render("POST", f"/v1/classify?model={model}", b"<a/>", Content_Type="text/xml"), 415),
        Ask("unknown path", render("POST", "/v1/nothing", b"{}", Content_Type="application/json"), NOT_FOUND),
    ]


def with_right_answers(address: tuple[str, int], asks: Iterable[Ask]) -> tuple[list[Ask], list[str]]:
    """Send each ask alone; return the good asks with their answers, and the kinds whose routes do not exist."""
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
    """RIGHT, REFUSED, WRONG or LOST; with a reason for WRONG and LOST.

    REFUSED: a status of overload or of a stop, with a Retry-After unless the request timed out.
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
    """The judgement on all answers of a run: numbers for each kind, and the reasons."""

    counts: Mapping[str, Mapping[str, int]]
    wrong: Sequence[str]
    lost: Sequence[str]


def judge_all(asks: Sequence[Ask], given: Iterable[Sample]) -> Judged:
    """Judge each answer."""
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
    """A table of the judgements for each kind."""
    verdicts = (RIGHT, REFUSED, WRONG, LOST)
    lines = [(kind, *(str(count.get(one, 0)) for one in verdicts)) for kind, count in sorted(judged.counts.items())]
    return tables.markdown(tables.of([("request", *verdicts), *lines]))


def ask_all(address: tuple[str, int], asks: Iterable[Ask]) -> list[Sample]:
    """Send each ask once, one after the other."""
    given = []
    for number, one in enumerate(asks):
        response = ask(address, one.message)
        given.append(Sample(number, 0.0, 0.0, 0.0, response, seen=answers.told(response)))
    return given
