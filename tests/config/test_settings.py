"""Settings come from flags, then the environment, then their defaults; what cannot be meant is refused by its name."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topfive.config.environment import cache_folder, export_settings, load_settings, shared_metrics_folder
from topfive.config.settings import Settings, reference_repository
from topfive.ground.errors import ConfigurationError
from topfive.ground.store_urls import read_store_url

NAMES: Final = tuple(Settings.model_fields)
# For each setting a text that is not its default, and what it means.
OTHER: Final[dict[str, tuple[str, object]]] = {
    "host": ("0.0.0.0", "0.0.0.0"),
    "port": ("0", 0),
    "grpc": ("false", False),
    "grpc_port": ("0", 0),
    "root_path": ("/cats/topfive", "/cats/topfive"),
    "cors_origins": ("https://a.example", "https://a.example"),
    "workers": ("3", 3),
    "model_repository": ("/somewhere/else", Path("/somewhere/else")),
    "model_cache_dir": ("/var/cache/topfive", Path("/var/cache/topfive")),
    "model_cache_bytes": ("1003", 1003),
    "default_model": ("flowers", "flowers"),
    "backend": ("null", "null"),
    "precision": ("fp32", "fp32"),
    "triton_url": ("triton:8001", "triton:8001"),
    "triton_slots": ("6", 6),
    "triton_timeout_seconds": ("1.25", 1.25),
    "model_control": ("poll", "poll"),
    "poll_seconds": ("2.5", 2.5),
    "shadow": ("m:2@10%", "m:2@10%"),
    "shadow_busy_share": ("0.25", 0.25),
    "shadow_max_images": ("7", 7),
    "shadow_max_bytes": ("1003", 1003),
    "shadow_timeout_seconds": ("1.5", 1.5),
    "shadow_key_file": ("/run/secrets/key", Path("/run/secrets/key")),
    "canary": ("m:2@5%", "m:2@5%"),
    "canary_header": ("X-User", "x-user"),
    "canary_max_slowdown": ("2.5", 2.5),
    "load_seconds": ("60.5", 60.5),
    "engine_cache_folder": ("/var/cache/topfive", Path("/var/cache/topfive")),
    "cores": ("3", 3),
    "alone_threads": ("1", 1),
    "prepare_threads": ("2", 2),
    "max_decode_seconds": ("2.5", 2.5),
    "max_body_bytes": ("1000", 1000),
    "max_json_bytes": ("1001", 1001),
    "answer_cache_bytes": ("1004", 1004),
    "answer_cache_seconds": ("60.5", 60.5),
    "grpc_max_message_bytes": ("1002", 1002),
    "grpc_max_connection_age_seconds": ("300.5", 300.5),
    "grpc_reflection": ("false", False),
    "grpc_max_requests": ("9", 9),
    "max_image_pixels": ("2000", 2000),
    "max_image_dimension": ("300", 300),
    "max_images_per_request": ("4", 4),
    "allow_damaged_images": ("true", True),
    "convert_colour_profiles": ("false", False),
    "max_in_flight_requests": ("5", 5),
    "max_in_flight_bytes": ("80000000", 80_000_000),
    "max_queue_items": ("6", 6),
    "max_queue_wait_seconds": ("0.5", 0.5),
    "stuck_batch_seconds": ("12.5", 12.5),
    "max_connections": ("8", 8),
    "head_seconds": ("3.5", 3.5),
    "body_seconds": ("4.5", 4.5),
    "send_seconds": ("5.5", 5.5),
    "keep_alive_seconds": ("7", 7),
    "api_keys_file": ("/keys", Path("/keys")),
    "quota_folder": ("/spent", Path("/spent")),
    "metrics_need_key": ("true", True),
    "tls_certificate_file": ("/certificate.pem", Path("/certificate.pem")),
    "tls_key_file": ("/key.pem", Path("/key.pem")),
    "drain_grace_seconds": ("1.5", 1.5),
    "shutdown_seconds": ("2.5", 2.5),
    "otlp_endpoint": ("http://collector:4318", "http://collector:4318"),
    "trace_sample_ratio": ("0.25", 0.25),
    "trusted_proxies": ("10.0.0.0/8, ::1", "10.0.0.0/8, ::1"),
    "log_requests": ("false", False),
    "log_format": ("text", "text"),
    "log_level": ("debug", "debug"),
}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """An environment of the test's own, with nothing in it."""
    environment: dict[str, str] = {}
    monkeypatch.setattr(os, "environ", environment)
    return environment


def variable(name: str) -> str:
    return f"TOPFIVE_{name.upper()}"


def flag(name: str, text: str) -> list[str]:
    option = name.replace("_", "-")
    if text in ("true", "false"):
        return [f"--{option}" if text == "true" else f"--no-{option}"]
    return [f"--{option}", text]


def refusal(arguments: list[str] | None = None) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(arguments)
    return str(caught.value)


def test_every_setting_is_tested_here() -> None:
    assert OTHER.keys() == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_setting_is_a_variable_and_a_flag_and_the_flag_wins(name: str, environment: dict[str, str]) -> None:
    text, value = OTHER[name]
    default = Settings.model_fields[name].default
    default_text = str(default).lower() if isinstance(default, bool) else str(default)
    assert value != default
    assert getattr(load_settings(), name) == default
    if name == "triton_url":
        environment["TOPFIVE_BACKEND"] = "triton"  # the one does not go without the other
        default_text, default = "other:8001", "other:8001"
    assert getattr(load_settings(flag(name, text)), name) == value
    environment[variable(name)] = text
    assert getattr(load_settings(), name) == value
    assert getattr(load_settings(flag(name, default_text)), name) == default


@pytest.mark.parametrize("name", NAMES)
def test_every_setting_says_what_it_is_for(name: str) -> None:
    description = Settings.model_fields[name].description
    assert description
    assert description.endswith(".")


def test_the_reference_model_is_served_unless_another_repository_is_named() -> None:
    assert Settings().served_repository == reference_repository()
    assert (reference_repository() / "efficientnet_lite0" / "config.pbtxt").is_file()
    assert Settings(model_repository=Path("mine")).served_repository == Path("mine")


def test_a_repository_in_a_store_is_named_by_its_url(environment: dict[str, str]) -> None:
    url = "s3://bucket/models"
    environment[variable("model_repository")] = url
    assert load_settings().model_repository == read_store_url(url)


@pytest.mark.parametrize(
    "url", ["s3://key:secret@bucket/models", "https://host/models?X-Amz-Signature=secret", "az://key:secret@account"]
)
def test_a_secret_in_a_url_is_refused_and_not_shown(url: str) -> None:
    message = refusal(["--model-repository", url])
    assert "TOPFIVE_MODEL_REPOSITORY" in message
    assert "secret" not in message


@pytest.mark.parametrize(
    ("given", "folder"),
    [
        ({"XDG_CACHE_HOME": "/var/cache", "HOME": "/tmp"}, Path("/var/cache/topfive")),
        ({"XDG_CACHE_HOME": "relative", "HOME": tempfile.gettempdir()}, Path(tempfile.gettempdir()) / ".cache/topfive"),
        ({"HOME": "/nowhere"}, Path(tempfile.gettempdir()) / f"topfive-{os.getuid()}"),
        ({}, Path(tempfile.gettempdir()) / f"topfive-{os.getuid()}"),
    ],
)
def test_what_can_be_fetched_again_is_where_the_system_wants_it(
    given: dict[str, str], folder: Path, environment: dict[str, str]
) -> None:
    environment.update(given)
    assert cache_folder() == folder


def test_the_defaults_fit_together() -> None:
    settings = load_settings()
    assert settings.max_body_bytes >= 3 * settings.max_image_pixels
    assert settings.max_in_flight_bytes >= settings.max_body_bytes
    assert settings.host == "127.0.0.1"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("port", "http"),
        ("port", ""),
        ("port", "-1"),
        ("port", "65536"),
        ("workers", "0"),
        ("workers", "257"),
        ("workers", "1.5"),
        ("backend", "tritonserver"),
        ("triton_url", "triton"),
        ("triton_url", "http://triton:8001"),
        ("triton_slots", "-1"),
        ("triton_timeout_seconds", "0"),
        ("answer_cache_bytes", "-1"),
        ("answer_cache_seconds", "0"),
        ("cores", "-1"),
        ("cores", "1025"),
        ("alone_threads", "-1"),
        ("prepare_threads", "-1"),
        ("shadow", "m:2"),
        ("canary", "m@5%"),
        ("canary_header", "X User"),
        ("max_decode_seconds", "0"),
        ("max_body_bytes", "0"),
        ("max_image_pixels", "0"),
        ("max_image_dimension", "many"),
        ("max_images_per_request", "0"),
        ("max_in_flight_requests", "0"),
        ("max_in_flight_bytes", "0"),
        ("max_queue_items", "0"),
        ("keep_alive_seconds", "0"),
        ("drain_grace_seconds", "-0.1"),
        ("drain_grace_seconds", "nan"),
        ("shutdown_seconds", "0"),
        ("shutdown_seconds", "inf"),
        ("log_level", "loud"),
    ],
)
@pytest.mark.parametrize("given_as", ["variable", "flag"])
def test_a_bad_value_is_refused_by_its_name(name: str, text: str, given_as: str, environment: dict[str, str]) -> None:
    arguments = []
    if given_as == "variable":
        environment[variable(name)] = text
    else:
        arguments = [f"--{name.replace('_', '-')}={text}"]
    message = refusal(arguments)
    assert message.startswith(f"setting {variable(name)} (--{name.replace('_', '-')}) is '{text}': ")
    assert "\n" not in message


@pytest.mark.parametrize("text", ["m=http://me:hush@host@5%", "m=http://me:hush@host", "m=http://me:hu/sh@host:0@5%"])
def test_a_password_in_a_setting_is_never_shown(text: str) -> None:
    message = refusal(["--shadow", text])
    assert "TOPFIVE_SHADOW (--shadow) is 'm=http://…@host" in message
    assert "hush" not in message
    assert "hu/sh" not in message
    assert "'m=http://host:0@5%'" in refusal(["--shadow", "m=http://host:0@5%"]), "what is no password is shown"


def test_every_bad_value_is_told_at_once(environment: dict[str, str]) -> None:
    environment |= {"TOPFIVE_PORT": "x", "TOPFIVE_WORKERS": "y"}
    message = refusal(["--log-level", "z"])
    assert all(name in message for name in ("TOPFIVE_PORT", "TOPFIVE_WORKERS", "TOPFIVE_LOG_LEVEL"))


@pytest.mark.parametrize("name", ["TOPFIVE_", "TOPFIVE_MAX_BODY_BYTE", "TOPFIVE_max_body_bytes_", "TOPFIVE_CONFIG"])
def test_a_variable_that_is_no_setting_is_refused_by_its_name(name: str, environment: dict[str, str]) -> None:
    environment |= {name: "1", "TOPFIVE_PORT": "5", "TOPFIVES": "not ours", "PORT": "6"}
    message = refusal()
    assert f"no setting {name}" in message


def test_variables_of_others_are_left_alone(environment: dict[str, str]) -> None:
    environment |= {"TOPFIVES": "1", "PORT": "6", "HOST": "x", "WORKERS": "9"}
    assert load_settings() == Settings()


@pytest.mark.parametrize("arguments", [["--bogus"], ["--max_body_bytes", "5"], ["--po", "5"], ["5"], ["--port"]])
def test_what_is_no_flag_is_refused(arguments: list[str]) -> None:
    assert arguments[0] in refusal(arguments)


@pytest.mark.parametrize(
    ("flag_text", "setting"),
    [
        ("--root-path=cats", "ROOT_PATH"),
        ("--root-path=/cats/", "ROOT_PATH"),
        ("--cors-origins=a.example", "CORS_ORIGINS"),
    ],
)
def test_a_prefix_is_a_path_and_an_origin_has_a_scheme(flag_text: str, setting: str) -> None:
    assert f"TOPFIVE_{setting}" in refusal([flag_text])


@pytest.mark.parametrize("text", ["localhost", "10.0.0.0/33", "10.0.0.1;10.0.0.2", "::1/129"])
def test_a_trusted_proxy_is_an_address_or_a_network(text: str) -> None:
    assert "TOPFIVE_TRUSTED_PROXIES" in refusal(["--trusted-proxies", text])


def test_the_bytes_in_flight_must_hold_the_largest_body() -> None:
    message = refusal(["--max-body-bytes", "11", "--max-in-flight-bytes", "10"])
    assert "max_in_flight_bytes" in message
    assert "max_body_bytes" in message
    assert load_settings(["--max-body-bytes", "10", "--max-in-flight-bytes", "10"]).max_in_flight_bytes == 10


def test_several_processes_cannot_be_told_by_request_what_to_serve(environment: dict[str, str]) -> None:
    """The request would reach one of them."""
    message = refusal(["--workers", "2", "--model-control", "explicit"])
    assert "model_control" in message
    assert "'poll'" in message
    assert load_settings(["--workers", "2", "--model-control", "poll"]).workers == 2
    assert load_settings(["--model-control", "explicit"]).workers == 1


def test_answers_are_not_kept_of_models_that_change_unseen() -> None:
    triton = ["--backend", "triton", "--triton-url", "triton:8001"]
    message = refusal([*triton, "--answer-cache-bytes", "1000000"])
    assert "answer_cache_bytes" in message
    assert "--cache-config" in message
    assert load_settings(triton).answer_cache_bytes == 0


def test_settings_do_not_change() -> None:
    settings: Any = load_settings()
    with pytest.raises(ValueError, match="frozen"):
        settings.port = 5


def test_a_process_that_serves_alone_shares_no_metrics() -> None:
    assert shared_metrics_folder() is None


plain_text = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "host": plain_text,
            "port": st.integers(0, 65535),
            "workers": st.integers(1, 256),
            "model_repository": plain_text.map(Path),
            "backend": st.sampled_from(["embedded", "null"]),
            "cores": st.integers(0, 1024),
            "alone_threads": st.integers(0, 99),
            "max_image_pixels": st.integers(1, 10**12),
            "max_in_flight_bytes": st.integers(80_000_000, 10**12),
            "drain_grace_seconds": st.floats(0, 1e6),
            "shutdown_seconds": st.floats(1e-6, 1e6),
            "otlp_endpoint": st.none() | st.just("http://collector:4318"),
            "trace_sample_ratio": st.floats(0, 1),
            "log_requests": st.booleans(),
            "log_level": st.sampled_from(["debug", "info", "warning", "error"]),
        },
    )
)
def test_worker_processes_read_the_settings_of_their_parent(values: dict[str, Any]) -> None:
    settings = Settings(**values)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "environ", {"PATH": "/bin"})
        export_settings(settings, "/tmp/metrics")
        assert load_settings() == settings
        assert shared_metrics_folder() == "/tmp/metrics"
        assert os.environ["PATH"] == "/bin"


@pytest.mark.parametrize("arguments", [["--backend", "triton"], ["--triton-url", "triton:8001"]])
def test_triton_and_its_url_go_together(arguments: list[str]) -> None:
    """Neither is silently ignored."""
    message = refusal(arguments)
    assert "TOPFIVE_TRITON_URL" in message
    assert "TOPFIVE_BACKEND=triton" in message
