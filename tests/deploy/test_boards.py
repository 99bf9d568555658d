"""The dashboards are what their code writes, stand on Grafana's grid, and fit what provisions them."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from deploy.grafana.boards.files import FOLDER, files
from deploy.grafana.boards.layout import COLUMNS
from tests.testkit.prometheus import CONFIG
from tests.testkit.serving_process import ROOT

BOARDS: Final[dict[str, Any]] = {name: json.loads(text) for name, text in files().items()}
PROVISIONING: Final = ROOT / "deploy" / "grafana" / "provisioning"
PANELS: Final = [
    pytest.param(panel, id=f"{name}-{panel['title']}")
    for name, board in BOARDS.items()
    for panel in board["panels"]
    if panel["type"] != "row"
]
UNITS: Final = {"none", "s", "reqps", "ops", "percentunit", "bytes"}
"""Of Grafana's, those that are used; a misspelt one would be shown as a suffix."""
COLOURS: Final = {"green", "orange", "red", "blue", "purple", "yellow", "text"}


def provisioned(what: str) -> dict[str, Any]:
    (file,) = (PROVISIONING / what).glob("*.yml")
    found: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return found


def area(panel: Any) -> set[tuple[int, int]]:
    """The cells of the grid that a panel covers."""
    place = panel["gridPos"]
    columns = range(place["x"], place["x"] + place["w"])
    return set(itertools.product(columns, range(place["y"], place["y"] + place["h"])))


def every(key: str, value: Any) -> list[Any]:
    """All that stands under `key`, however deep."""
    if isinstance(value, dict):
        return [each for name, inner in value.items() for each in ([inner] if name == key else []) + every(key, inner)]
    return [each for inner in value for each in every(key, inner)] if isinstance(value, list) else []


def test_the_committed_dashboards_are_what_the_code_writes() -> None:
    committed = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*")}
    assert committed == files(), "run: make dashboards"


def test_make_dashboards_writes_them_with_nothing_installed(tmp_path: Path) -> None:
    """With the standard library alone: whoever operates this need not set up an environment for it."""
    code = "import sys; from deploy.grafana.boards.files import files; sys.stdout.write(files()[sys.argv[1]])"
    for name, text in files().items():
        command = [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); {code}", name]
        assert subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout == text


@pytest.mark.parametrize("name", BOARDS)
def test_panels_fill_the_grid_without_gap_or_overlap(name: str) -> None:
    panels = BOARDS[name]["panels"]
    cells = [cell for panel in panels for cell in area(panel)]
    assert len(cells) == len(set(cells)), "two panels overlap"
    assert set(cells) == set(itertools.product(range(COLUMNS), range(1 + max(y for _, y in cells)))), "there is a gap"
    assert [panel["id"] for panel in panels] == list(range(1, len(panels) + 1))
    assert panels[0]["type"] == "row"


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_says_what_it_shows_in_units_that_grafana_knows(panel: Any) -> None:
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert panel["targets"]
    assert set(every("unit", panel)) <= UNITS
    assert set(every("fixedColor", panel)) <= COLOURS
    for thresholds in every("thresholds", panel):
        values = [step["value"] for step in thresholds["steps"]]
        assert values[0] is None
        assert values[1:] == sorted(values[1:])
    assert [target["refId"] for target in panel["targets"]] == [chr(65 + i) for i in range(len(panel["targets"]))]


def test_a_dashboard_asks_the_provisioned_source_unless_another_is_chosen() -> None:
    (source,) = provisioned("datasources")["datasources"]
    for board in BOARDS.values():
        assert {json.dumps(each) for each in every("datasource", board)} == {
            json.dumps({"type": source["type"], "uid": "${source}"})
        }
        chosen = board["templating"]["list"][0]
        assert (chosen["name"], chosen["query"]) == ("source", source["type"])
        assert chosen["current"] == {"text": source["name"], "value": source["uid"]}


def test_variables_are_defined_before_they_are_used_and_all_are_used() -> None:
    for board in BOARDS.values():
        known = {"__rate_interval", "__all"}
        for variable in board["templating"]["list"]:
            assert set(re.findall(r"\$(\w+)", json.dumps(variable.get("query")))) <= known
            known.add(variable["name"])
        used = set(re.findall(r"\$\{?(\w+)", json.dumps([board["panels"], board["annotations"], board["templating"]])))
        assert used == known


def test_what_provisions_agrees_with_what_is_provisioned() -> None:
    """Grafana learns Prometheus' interval, or rates over it would be of too few scrapes; it finds the dashboards."""
    (source,) = provisioned("datasources")["datasources"]
    interval = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))["global"]["scrape_interval"]
    assert source["jsonData"]["timeInterval"] == interval
    assert source["jsonData"]["manageAlerts"] is True, "Grafana would not show Prometheus' alerts"
    (provider,) = provisioned("dashboards")["providers"]
    assert provider["type"] == "file"
    assert Path(provider["options"]["path"]).name == FOLDER.name


def test_dashboards_can_be_told_apart_and_found_from_each_other() -> None:
    assert len({board["uid"] for board in BOARDS.values()}) == len(BOARDS)
    for board in BOARDS.values():
        (link,) = board["links"]
        assert link["type"] == "dashboards"
        assert set(link["tags"]) <= set(board["tags"])
        assert (board["time"], board["refresh"]) == ({"from": "now-15m", "to": "now"}, "5s")


def test_the_runbook_names_panels_that_there_are() -> None:
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8").partition("\n## Alerts\n")[2]
    rows = {panel["title"] for panel in BOARDS["topfive.json"]["panels"] if panel["type"] == "row"}
    asked = set(re.findall(r"\*([A-Z][^*]+\?)\*", page))
    assert asked
    assert asked <= rows
