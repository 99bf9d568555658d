"""What is recorded names no folder of the user."""

from __future__ import annotations

from pathlib import Path

from tests.pipeline.experiments.runs import stored
from topfive_pipeline.experiments.runs import discreet, without_folders


def test_of_a_path_the_last_part_is_recorded() -> None:
    assert discreet(Path("/home/alice/photos")) == "photos"
    assert discreet(Path()) == "."


def test_what_was_not_said_is_not_recorded_and_all_else_is_text() -> None:
    assert discreet(None) is None
    assert [discreet(value) for value in (0.5, False, (1, 2), "max")] == ["0.5", "False", "1,2", "max"]


def test_a_model_keeps_its_name_and_of_its_folder_the_last_part() -> None:
    assert without_folders("/home/alice/models/pets:2") == "models/pets:2"
    assert without_folders("pets:2") == "pets:2"


def test_a_run_says_its_command_model_and_data_by_its_tags() -> None:
    run = stored(3)
    assert (run.command, run.model, run.data, len(run.short)) == ("evaluate", "pets:3", "a" * 64, 8)
    assert stored(tags={}).command == stored(tags={}).model == stored(tags={}).data == ""
