"""Dockerfile, docker-compose.yml and .env as they are written: what each says of another, or of the service, is so.

None of it needs a container engine. How to see the images run: docs/containers.md.
"""

from __future__ import annotations

import os
import re
from typing import Final

import pytest
import yaml

from tests.testkit.container_files import (
    COMPOSE,
    COMPOSE_TEXT,
    INSTRUCTIONS,
    KNOBS,
    OURS,
    SERVICES,
    SERVING,
    STAGES,
    mounts,
    published,
    settings_of,
    target_of,
)
from tests.testkit.serving_process import ROOT
from topfive import __version__
from topfive.config.environment import load_settings
from topfive.config.settings import Settings

DEPLOYED: Final = ROOT / "deploy"
STOP_MARGIN_SECONDS: Final = 2.0
"""What a worker process may need beyond its own bounds."""
ENDS_BY_ITSELF: Final = "loadtest"
"""It measures once."""
SERVES_NOBODY_HERE: Final = {ENDS_BY_ITSELF, "notices"}
"""Of our images: none of their ports is published."""


def test_every_knob_that_is_used_is_in_the_file_of_knobs_and_the_other_way_round() -> None:
    assert set(re.findall(r"\$\{(\w+)\}", COMPOSE_TEXT)) == KNOBS.keys()
    assert "$" not in re.sub(r"\$\{\w+\}", "", COMPOSE_TEXT)


@pytest.mark.parametrize("name", SERVING)
def test_the_service_takes_the_settings_it_is_given(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the image and those of the stack: the service refuses one that it does not know."""
    for variable in [variable for variable in os.environ if variable.startswith("TOPFIVE_")]:
        monkeypatch.delenv(variable)
    for variable, value in settings_of(name).items():
        monkeypatch.setenv(variable, value)
    settings = load_settings()
    assert settings.host == "0.0.0.0"
    assert (settings.backend, settings.triton_url) == (
        ("triton", "triton:8001") if name == "service-triton" else ("embedded", None)
    )


def test_a_setting_among_the_knobs_is_the_services_own_default() -> None:
    """So that a container does what the documentation says, until somebody turns a knob."""
    given = {name: value for name, value in KNOBS.items() if name.startswith("TOPFIVE_")}
    assert given
    fields = {f"TOPFIVE_{name.upper()}": field.default for name, field in Settings.model_fields.items()}
    assert given == {name: _written(fields[name], given[name]) for name in given}


def _written(default: object, given: str) -> str:
    if isinstance(default, bool):
        return str(default).lower()
    return given if isinstance(default, float) and float(given) == default else str(default)


@pytest.mark.parametrize("name", SERVING)
def test_a_service_is_given_the_time_that_it_may_take_to_stop(name: str) -> None:
    settings = settings_of(name)
    needed = float(settings["TOPFIVE_DRAIN_GRACE_SECONDS"]) + float(settings["TOPFIVE_SHUTDOWN_SECONDS"])
    assert float(SERVICES[name]["stop_grace_period"].removesuffix("s")) >= needed + STOP_MARGIN_SECONDS


def test_without_a_profile_there_are_the_service_and_what_watches_it() -> None:
    always = {name for name, service in SERVICES.items() if "profiles" not in service}
    assert always == {"service", "prometheus", "alertmanager", "notices", "grafana"}
    profiles = {name: service["profiles"] for name, service in SERVICES.items() if name not in always}
    assert profiles == {
        "triton": ["triton"],
        "service-triton": ["triton"],
        "service-gpu": ["gpu"],
        "loadtest": ["loadtest"],
        "locust": ["locust"],
    }


@pytest.mark.parametrize("name", SERVICES)
def test_every_container_is_confined_bounded_and_watched(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not service.get("privileged")
    assert float(service["cpus"]) > 0
    assert re.fullmatch(r"\d+[mg]", service["mem_limit"])
    assert service["pids_limit"] > 0
    if name == ENDS_BY_ITSELF:
        assert service["restart"] == "no"
    else:
        assert service["restart"] == "unless-stopped"
        assert service["healthcheck"]["test"][0] == "CMD"


@pytest.mark.parametrize("name", SERVICES)
def test_who_needs_another_waits_until_it_is_healthy_and_finds_it_started(name: str) -> None:
    for other, how in SERVICES[name].get("depends_on", {}).items():
        assert how == {"condition": "service_healthy"}
        assert SERVICES[other].get("profiles", SERVICES[name].get("profiles")) == SERVICES[name].get("profiles")


def test_nothing_can_be_reached_from_other_machines_until_a_knob_is_turned() -> None:
    ports = [port for name in SERVICES for port in published(name)]
    assert {address for address, _, _ in ports} == {"127.0.0.1"}
    here = [port for _, port, _ in ports]
    assert len(here) == len(set(here))


def test_the_published_ports_are_those_that_the_image_listens_on() -> None:
    for name in OURS.keys() - SERVES_NOBODY_HERE:
        exposed = str(target_of(name).last("EXPOSE")).split()
        assert [str(there) for _, _, there in published(name)] == exposed
    assert [published(name) for name in SERVES_NOBODY_HERE] == [[], []]
    for name in SERVING:
        settings = settings_of(name)
        assert str(target_of(name).last("EXPOSE")) == f"{settings['TOPFIVE_PORT']} {settings['TOPFIVE_GRPC_PORT']}"


def test_the_service_is_where_a_service_without_containers_is() -> None:
    defaults = Settings.model_fields
    assert [here for _, here, _ in published("service")] == [defaults["port"].default, defaults["grpc_port"].default]


def test_what_is_mounted_is_a_folder_that_cannot_be_written_to_or_a_volume() -> None:
    """But for the folder in which results land, which is its user's own."""
    used = set()
    for name, service in SERVICES.items():
        for target, source in mounts(name).items():
            if target == "/results":
                assert (name, source) == (ENDS_BY_ITSELF, KNOBS["STACK_LOADTEST_RESULTS"])
                assert f"--output={target}" in service["command"]
            elif source.startswith("."):
                assert (ROOT / source).is_dir(), f"{name} mounts {source}"
                assert f"{source}:{target}:ro" in service["volumes"]
            else:
                used.add(source)
    assert used == COMPOSE["volumes"].keys()


def test_service_and_triton_serve_the_same_models_as_the_same_user() -> None:
    assert mounts("service-triton")["/models"] == mounts("triton")["/models"] == KNOBS["STACK_MODEL_REPOSITORY"]
    assert SERVICES["triton"]["user"] == target_of("service-triton").last("USER")


def test_prometheus_asks_where_the_stack_listens() -> None:
    config = yaml.safe_load((DEPLOYED / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))
    asked = {
        name: found["port"]
        for job in config["scrape_configs"]
        for found in job["dns_sd_configs"]
        for name in found["names"]
    }
    metrics_of_triton = 8002  # its default; not published
    [marks] = [part.partition("=")[2] for part in SERVICES["loadtest"]["command"] if part.startswith("--marks-port")]
    assert asked == dict.fromkeys(SERVING, 8000) | {"triton": metrics_of_triton, "loadtest": int(marks)}
    assert mounts("prometheus")["/etc/prometheus"] == "./deploy/prometheus"


def test_prometheus_tells_alertmanager_and_both_know_where_people_reach_them() -> None:
    """So that links in alerts lead somewhere: to Prometheus' page of runbooks too."""
    config = yaml.safe_load((DEPLOYED / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))
    [found] = [found for one in config["alerting"]["alertmanagers"] for found in one["dns_sd_configs"]]
    [(_, _, listens)] = published("alertmanager")
    assert (found["names"], found["port"]) == (["alertmanager"], listens)
    for name in ("prometheus", "alertmanager"):
        [(address, here, _)] = published(name)
        assert f"--web.external-url=http://{address}:{here}" in SERVICES[name]["command"]
    assert "--web.console.templates=/etc/prometheus/consoles" in SERVICES["prometheus"]["command"]
    assert (DEPLOYED / "prometheus" / "consoles" / "runbooks.html").is_file()
    assert f"--config.file={next(iter(mounts('alertmanager')))}/alertmanager.yml" in SERVICES["alertmanager"]["command"]


def test_prometheus_keeps_what_the_error_budget_is_reckoned_over() -> None:
    rules = (DEPLOYED / "prometheus" / "rules" / "objective.yml").read_text(encoding="utf-8")
    longest = max(int(days) for days in re.findall(r"\[(\d+)d\]", rules))
    assert int(KNOBS["STACK_PROMETHEUS_RETENTION"].removesuffix("d")) >= longest


def test_grafana_finds_prometheus_and_the_dashboards() -> None:
    folder = DEPLOYED / "grafana"
    [source] = yaml.safe_load((folder / "provisioning/datasources/prometheus.yml").read_text("utf-8"))["datasources"]
    assert source["url"] == "http://prometheus:9090"
    [provider] = yaml.safe_load((folder / "provisioning/dashboards/topfive.yml").read_text("utf-8"))["providers"]
    where = mounts("grafana")
    dashboards = provider["options"]["path"]
    assert where[dashboards] == "./deploy/grafana/dashboards"
    assert where["/etc/grafana/provisioning"] == "./deploy/grafana/provisioning"
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home.startswith(f"{dashboards}/")
    assert (folder / "dashboards" / home.removeprefix(f"{dashboards}/")).is_file()


def test_the_image_that_is_built_by_default_is_the_one_for_the_cpu() -> None:
    assert list(STAGES)[-1] == "cpu"
    for name, service in OURS.items():
        assert service["image"] == f"topfive:{target_of(name).name}"


def test_what_is_not_built_here_is_pinned() -> None:
    [base] = re.findall(r"^ARG PYTHON_IMAGE=(\S+)$", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    assert {stage.base for stage in STAGES.values()} - STAGES.keys() == {"${PYTHON_IMAGE}"}
    foreign = [service["image"] for name, service in SERVICES.items() if name not in OURS]
    for image in [base, *foreign]:
        assert re.search(r":v?\d+\.[\w.-]+(@sha256:[0-9a-f]{64})?$", image), image


def test_nothing_is_installed_but_what_is_locked_and_our_wheel() -> None:
    """As it is written: nothing is resolved, so that an index which has newer versions by then changes nothing."""
    installed = [rest for word, rest in INSTRUCTIONS if word == "RUN" and re.search(r"\bpip\b.* install\b", rest)]
    assert all(" install --no-deps " in rest for rest in installed)
    locked = [
        found[1] for rest in installed if (found := re.search(r"--require-hashes --requirement /tmp/(\S+)", rest))
    ]
    assert sorted(locked) == ["build.txt", "gpu.txt", "image.txt", "loadtest.txt"]
    ours = [rest for rest in installed if "--require-hashes" not in rest]
    assert [rest.split(" install ")[1].split(" \\")[0].split(" &&")[0].strip() for rest in ours] == [
        "--no-deps /wheels/*.whl"
    ] * 2
    [made] = [rest for word, rest in INSTRUCTIONS if word == "RUN" and " wheel " in rest]
    assert "--no-build-isolation" in made
    assert not [rest for word, rest in INSTRUCTIONS if word == "RUN" and "apt" in rest]


def test_no_image_runs_as_root_and_all_end_by_sigterm() -> None:
    for stage in map(target_of, OURS):
        assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", str(stage.last("USER")))
        assert stage.last("STOPSIGNAL") == "SIGTERM"
        assert str(stage.last("ENTRYPOINT")).startswith('["')  # no shell between the signal and the process


def test_the_image_and_the_stack_have_the_same_health_check() -> None:
    for name in SERVING:
        said = str(target_of(name).last("HEALTHCHECK"))
        command = yaml.safe_load(said[said.index("[") :])
        assert ["CMD", *command] == SERVICES[name]["healthcheck"]["test"]


def test_the_context_holds_exactly_what_the_images_are_made_from() -> None:
    copied: set[str] = set()
    for word, rest in INSTRUCTIONS:
        if word == "COPY" and not rest.startswith("--from="):
            copied.update(rest.split()[:-1])
    assert [path for path in copied if not (ROOT / path).exists()] == []
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    first, *rest_of_it = [line for line in lines if not line.startswith("#")]
    let_in = {line.removeprefix("!") for line in rest_of_it if line.startswith("!")}
    assert first == "*"
    assert let_in == {path for path in copied if not any(path.startswith(f"{folder}/") for folder in copied)}
    assert [line for line in rest_of_it if not line.startswith("!")] == ["**/__pycache__"]


def test_the_image_says_which_version_it_is() -> None:
    assert f'org.opencontainers.image.version="{__version__}"' in str(STAGES["runtime"].last("LABEL"))
