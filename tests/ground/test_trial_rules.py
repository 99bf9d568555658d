"""What the settings of trials may say; and that each wrong text is refused with how to write it."""

from __future__ import annotations

import pytest

from topfive.ground.trial_rules import CanaryRule, ShadowRule, read_canary, read_header, read_shadow


@pytest.mark.parametrize(
    ("text", "rule", "target"),
    [
        ("lite:2@10%", ShadowRule("lite", 0.1, "lite", 2), "lite:2"),
        (" lite : 2@10%", None, None),
        ("lite=lite:2@100%", ShadowRule("lite", 1.0, "lite", 2), "lite:2"),
        ("lite = other @ 0.5 %", ShadowRule("lite", 0.005, "other", None), "other"),
        ("lite=other:7@5%", ShadowRule("lite", 0.05, "other", 7), "other:7"),
        (
            "lite=http://new:8000/at?model=m&version=2@50%",
            ShadowRule("lite", 0.5, url="http://new:8000/at?model=m&version=2"),
            "http://new:8000/at?model=m&version=2",
        ),
        ("lite=https://[::1]:8443@1%", ShadowRule("lite", 0.01, url="https://[::1]:8443"), "https://[::1]:8443"),
    ],
)
def test_a_shadow_is_another_version_another_model_or_another_service(
    text: str, rule: ShadowRule | None, target: str | None
) -> None:
    if rule is None:
        with pytest.raises(ValueError, match="is no model: write MODEL:VERSION@SHARE%"):
            read_shadow(text)
        return
    assert read_shadow(text) == rule
    assert rule.target == target


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lite:2", "says no share of the requests"),
        ("lite:2@10", "says no share of the requests"),
        ("lite:2@0%", "above 0% and at most 100%"),
        ("lite:2@101%", "above 0% and at most 100%"),
        ("lite@10%", "names no version to copy requests to"),
        ("lite=lite@10%", "would copy requests to the model that answers them"),
        ("lite:1=lite:2@10%", "must name a model without a version"),
        ("li te:2@10%", "is no model"),
        ("lite:02@10%", "is no model"),
        ("lite=ftp://host@10%", "is no URL of a service"),
        ("lite=http://@10%", "is no URL of a service"),
        ("lite=http://host:99999@10%", "is not between 0 and 65535"),
        ("lite=http://host/#m@10%", "is no URL of a service"),
        ("lite=http://me:secret@host@10%", "must hold no password; name a file"),
        ("lite=http://ho st@10%", "must hold no blanks"),
    ],
)
def test_a_wrong_shadow_is_refused_with_how_to_write_it(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as refused:
        read_shadow(text)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lite@5%", "names no version"),
        ("lite:2", "says no share"),
        ("lite:2@100%", "above 0% and at most 99%"),
        ("lite=other:2@5%", "is no model"),
    ],
)
def test_a_canary_is_a_version_of_the_model_and_leaves_some_requests(text: str, message: str) -> None:
    assert read_canary("lite:2@5%") == CanaryRule("lite", 2, 0.05)
    with pytest.raises(ValueError, match=message):
        read_canary(text)


def test_nothing_is_on_trial_unless_it_is_said() -> None:
    assert read_shadow(" ") is None
    assert read_canary("") is None


def test_a_header_is_named_without_regard_to_case() -> None:
    assert read_header("X-User-Id") == "x-user-id"
    with pytest.raises(ValueError, match="is no header's name"):
        read_header("X User")
