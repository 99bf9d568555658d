"""The canary's switch is one for all worker processes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from topfive.rollout.switch import Switch


def test_what_one_process_turns_the_others_see(tmp_path: Path) -> None:
    one, other = Switch(tmp_path), Switch(tmp_path)
    one.turn_off("it fails")
    before = other.reason
    other.look()
    assert (before, one.reason, other.reason) == (None, "it fails", "it fails")
    other.turn_on()
    one.look()
    assert one.reason is None
    assert list(tmp_path.iterdir()) == []


def test_a_single_process_needs_no_folder() -> None:
    switch = Switch(None)
    switch.turn_off("it fails")
    switch.look()
    assert switch.reason == "it fails"
    switch.turn_on()
    assert switch.reason is None


def test_without_room_on_the_disk_it_is_off_here_at_least(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    switch = Switch(folder)
    switch.turn_off("it fails")
    switch.look()
    assert switch.reason == "it fails"
    switch.turn_on()
    switch.look()
    assert switch.reason is None


def test_two_processes_may_turn_it_off_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has its own file until it is whole; neither takes the other's, and thinks that the disk has no room."""
    one, other = Switch(tmp_path), Switch(tmp_path)
    replace = Path.replace
    turned: list[Path] = []

    def meanwhile(path: Path, target: Path) -> Path:
        if not turned:
            turned.append(path)
            with monkeypatch.context() as context:
                context.setattr(os, "getpid", lambda: 1)
                other.turn_off("it is slower")
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", meanwhile)
    one.turn_off("it fails")
    other.turn_on()
    one.look()
    assert one.reason is None
    assert list(tmp_path.iterdir()) == []
