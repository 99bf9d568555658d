"""Chaos: its verdict on known samples, what its clients see, and a few seconds of it."""

import json
import socket
from collections.abc import Mapping
from pathlib import Path

import pytest

from benchmarks import chaos, chaos_verdict
from benchmarks.__main__ import main
from benchmarks.chaos_verdict import Health, answers_check, behaved_checks, health, health_checks, held_checks
from benchmarks.mix import RIGHT, Judged
from benchmarks.prober import Probe
from benchmarks.samples import Held
from benchmarks.wire import CLOSED, OVERDUE, RESET, Wire
from topfive_loadgen.verdict import Check

IDLE = Held(0.0, 100_000_000, 14, 10)


def missed(checks: list[Check]) -> list[str]:
    return [check.name for check in checks if not check.met]


@pytest.mark.parametrize(
    ("kind", "word", "allowed"),
    [
        ("broken HTTP", "400", True),
        ("broken HTTP", "closed", True),
        ("spoilt file", "503", True),
        ("spoilt file", "500", False),
        ("spoilt file", "400 unexplained", False),
        ("spoilt file", "nothing", False),
        ("spoilt OIP JSON", "501", False),
        ("dawdle in the head", "408", True),
        ("dawdle in the head", "never cut off", False),
        ("poison", "500", True),
        ("poison", "200", False),
        ("beside poison, good", "500", False),
        ("pipelined, good", "wrong", False),
        ("pipelined, good", "429", True),
        ("chunked, good", "closed", False),
        ("idle flood", "no connection: ConnectionRefusedError", False),
        ("trailers without end", "431", True),
        ("trailers without end", "200", False),
        ("chunks of a byte, good", "400", False),
        ("all but a byte", "408", True),
        ("no Host, or two", "200", False),
        ("another site's page", "404", False),
        ("WebP of one colour", "413", True),
        ("PNG on its side", "400", False),
        ("gRPC: calls without a message", "RESOURCE_EXHAUSTED", True),
        ("gRPC: good", "INTERNAL", False),
    ],
)
def test_each_kind_may_be_answered_so_and_not_otherwise(kind: str, word: str, allowed: bool) -> None:
    """No 5xx but by design, no hanging, no error without an explanation; good requests are answered right."""
    assert kind in chaos.KINDS
    assert answers_check({kind: {"left": 0, word: 2}} if kind not in chaos_verdict.ONLY else {kind: {word: 2}}).met is (
        allowed
    )


def test_probes_during_a_pause_are_not_counted() -> None:
    """Nor one that was under way when it began, nor in the moment after it."""
    probes = [Probe(began, 0.01, 200) for began in (0.5, 0.995, 1.2, 1.55, 1.7)]
    seen = health(probes, [(1.0, 1.5)])
    assert len(seen.seconds) == 2


def test_health_is_late_beyond_the_bound_only() -> None:
    """What is above the aim is reported; a shared machine does not fail the run, a blocked loop does."""
    shared = Health([0.001] * 90 + [0.2] * 10, 0)
    assert shared.within_aim == pytest.approx(0.9)
    assert missed(health_checks(shared)) == []
    assert missed(health_checks(Health([0.001] * 90 + [2.0] * 10, 0))) == ["health, p99"]
    assert missed(health_checks(Health([0.001], 1))) == ["health probes not answered 200"]
    assert missed(health_checks(Health([], 0))) == ["health, p99"]


@pytest.mark.parametrize(
    ("after", "names"),
    [
        (Held(0.0, 129_000_000, 14, 10), []),
        (Held(0.0, 140_000_000, 14, 10), ["resident memory at the end"]),
        (Held(0.0, 100_000_000, 15, 10), ["open files at the end"]),
        (Held(0.0, 100_000_000, 14, 11), ["threads at the end"]),
    ],
)
def test_nothing_more_is_held_at_the_end(after: Held, names: list[str]) -> None:
    """Memory within a tenth and the slack; open files and threads as many as before."""
    assert missed(held_checks(IDLE, after, idle=IDLE, slack_mb=20)) == names


def test_a_service_that_refuses_everybody_fails() -> None:
    def judged(counts: Mapping[str, int], *, wrong: list[str] | None = None) -> Judged:
        return Judged({"raw": counts}, wrong or [], [])

    assert missed(behaved_checks(judged({RIGHT: 6, "refused": 4}))) == []
    assert missed(behaved_checks(judged({RIGHT: 4, "refused": 6}))) == ["well-behaved: share right, the rest refused"]
    assert missed(behaved_checks(judged({RIGHT: 9, "wrong": 1}, wrong=["x"]))) == ["well-behaved: wrong"]


def test_errors_that_nobody_was_answered_with_are_found_in_the_log() -> None:
    assert chaos_verdict.log_check(b'{"level":"info"}\n').met
    assert not chaos_verdict.log_check(b'{"message":"Task exception was never retrieved"}\n').met


@pytest.mark.parametrize(
    ("sent", "word"),
    [
        (b"HTTP/1.1 400 Bad\r\nContent-Length: 2\r\n\r\n{}", "400 unexplained"),
        (b'HTTP/1.1 400 Bad\r\nContent-Length: 26\r\n\r\n{"error":"why","code":"x"}', "400"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "200"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{}", "cut short"),
        (b"220 smtp\r\n\r\n", "not HTTP"),
        (b"", CLOSED),
    ],
)
def test_an_answer_is_told_in_a_word(sent: bytes, word: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, Wire(listener.getsockname()) as wire:
        peer, _ = listener.accept()
        with peer:
            peer.sendall(sent)
        assert wire.answer(explained=True) == word


def test_a_reset_is_told_from_an_end() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, Wire(listener.getsockname()) as wire:
        peer, _ = listener.accept()
        wire.send(b"unread")
        peer.close()
        assert wire.answer() == RESET


def test_a_client_that_dawdles_tells_when_it_is_not_cut_off() -> None:
    """What it sent, byte by byte, arrived; the answer, once there is one, is told."""
    with socket.create_server(("127.0.0.1", 0)) as listener, Wire(listener.getsockname()) as wire:
        peer, _ = listener.accept()
        assert wire.drip(b"abc", every_seconds=0.001, within_seconds=0.3) == OVERDUE
        assert peer.recv(10, socket.MSG_WAITALL | socket.MSG_DONTWAIT) == b"abc"
        peer.sendall(b"HTTP/1.1 408 Slow\r\nContent-Length: 0\r\n\r\n")
        assert wire.drip(b"abc", every_seconds=5, within_seconds=30) == "408"
        peer.close()


def test_a_few_seconds_of_chaos_leave_the_service_as_it_was(tmp_path: Path) -> None:
    """Every kind at least once; how much memory it takes and how soon health answers is for longer runs."""
    options = ["--tiny", "--seconds", "1", "--warm-up", "0", "--patience", "1", "--mob", "30", "--memory-slack", "400"]
    main(["chaos", *options, "--json", str(tmp_path / "run.json")])
    result = json.loads((tmp_path / "run.json").read_text())
    assert all(result["outcomes"][kind] for kind in chaos.KINDS)
    assert len(result["checks"]) > 5
    assert [check for check in result["checks"] if not check["met"] and check["name"] != "health, p99"] == []
