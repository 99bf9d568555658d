"""The canary's switch is one for all worker processes."""

from __future__ import annotations

from pathlib import Path

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
