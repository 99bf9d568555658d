"""Flags are the settings; what is none is refused with the one that was meant; the help shows them all."""

from __future__ import annotations

import pytest

from topfive.config.command_line import PREFIX, help_text, read_flags, unknown_variables
from topfive.config.settings import Settings
from topfive.ground.errors import ConfigurationError

FIELDS = Settings.model_fields
SWITCHES = [name for name, field in FIELDS.items() if field.annotation is bool]


def refusal(*words: str) -> str:
    with pytest.raises(ConfigurationError) as refused:
        read_flags(words, FIELDS)
    return str(refused.value)


def test_a_value_follows_its_flag_or_an_equals_sign() -> None:
    given = read_flags(["--port", "5", "--host=0.0.0.0", "--poll-seconds", "-1"], FIELDS)
    assert given == {"port": "5", "host": "0.0.0.0", "poll_seconds": "-1"}


def test_of_a_flag_that_is_given_twice_the_last_holds() -> None:
    assert read_flags(["--port", "5", "--port=6"], FIELDS) == {"port": "6"}


@pytest.mark.parametrize("name", SWITCHES)
def test_a_switch_needs_no_value(name: str) -> None:
    option = name.replace("_", "-")
    assert read_flags([f"--{option}"], FIELDS) == {name: "true"}
    assert read_flags([f"--no-{option}"], FIELDS) == {name: "false"}
    assert read_flags([f"--{option}=false"], FIELDS) == {name: "false"}


def test_none_is_none_only_where_that_is_a_value() -> None:
    assert read_flags(["--model-repository=None", "--host=None"], FIELDS) == {"model_repository": None, "host": "None"}


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("--max-body-byte", "--max-body-bytes"),
        ("--max_body_bytes", "--max-body-bytes"),
        ("--model-repo", "--model-repository"),
        ("--no-grcp", "--no-grpc"),
        ("--versoin", "--version"),
        ("--workers-=3", "--workers"),
    ],
)
def test_a_flag_that_does_not_exist_is_told_which_was_meant(word: str, meant: str) -> None:
    assert f"(did you mean {meant}?)" in refusal(word)


def test_nothing_is_guessed_where_nothing_is_alike() -> None:
    assert "did you mean" not in refusal("--zzz")


@pytest.mark.parametrize("words", [["--port"], ["--port", "--grpc"]])
def test_a_flag_without_its_value_says_so(words: list[str]) -> None:
    assert "--port needs a value" in refusal(*words)


def test_a_word_that_is_no_flag_is_refused() -> None:
    assert "'serve' is no flag" in refusal("serve")


def test_a_variable_that_is_no_setting_is_told_which_was_meant() -> None:
    text = unknown_variables(["TOPFIVE_MAX_BODY_BYTE", "TOPFIVE_QQQQQQQQQQQQ"], FIELDS)
    assert "TOPFIVE_MAX_BODY_BYTE (did you mean TOPFIVE_MAX_BODY_BYTES?)" in text
    assert "TOPFIVE_QQQQQQQQQQQQ;" in text


def test_the_help_has_every_setting_with_its_variable_default_and_description_in_eighty_eight_columns() -> None:
    text = help_text(FIELDS, {"import": "makes a servable model"})
    assert max(map(len, text.splitlines())) <= 88
    assert "\n  topfive import      makes a servable model\n" in text
    assert "Beside serving" not in help_text(FIELDS, {})
    flat = " ".join(text.split())
    for name, field in FIELDS.items():
        assert f"--{name.replace('_', '-')}" in text
        assert f"{PREFIX}{name.upper()}, by default " in text
        assert field.description is not None
        assert " ".join(field.description.split()) in flat
    for choice in ("embedded|triton|null", "auto|json|text"):
        assert choice in text
