"""Pages that are made from the code are not stale, and those written by hand leave nothing out."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from deploy.site.pages import DOCS, PAGES
from topfive.config.settings import Settings
from topfive.ground import statuses
from topfive.grpc.servicer import SERVICE
from topfive.http.error_responses import STATUS
from topfive.observe.metrics import Metrics
from topfive.repository.honoured_fields import HONOURED

SERVICE_SOURCES: Final = DOCS.parent / "service"
OFFLINE_SOURCES: Final = DOCS.parent / "pipeline" / "topfive_pipeline"
MADE_BY_HAND: Final = {"not_found", "method_not_allowed", "request_timeout", "head_too_large", "foreign_page"}
"""Codes of errors that have no class: HTTP's own."""


@pytest.mark.parametrize("name", PAGES)
def test_a_page_that_is_made_from_the_code_is_not_stale(name: str) -> None:
    assert (DOCS / name).read_text(encoding="utf-8") == PAGES[name](), "run: make docs-pages"


def test_every_setting_says_what_it_is() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_every_field_that_a_model_configuration_may_have_is_documented() -> None:
    page = (DOCS / "settings.md").read_text(encoding="utf-8")
    parents = {path.rpartition(".")[0] for path in HONOURED}  # allowed empty; their fields are listed
    assert [path for path in sorted(HONOURED - parents) if f"`{path}`" not in page] == []
    listed = re.findall(r"`([\w.]+)`", page.partition("## Of a model")[2].replace("\n", " "))
    dotted = {field for field in listed if "." in field and field != "model.onnx" and field != "config.pbtxt"}
    assert dotted - HONOURED == set()


def test_the_table_of_errors_is_that_of_the_service() -> None:
    rows = re.findall(r"^\| (\d{3}) \| `(\w+)` \| `(\w+)` \|", page("errors.md"), re.MULTILINE)
    assert rows == [(str(status), statuses.GRPC[error], error.code) for error, status in STATUS.items()]


def test_every_code_in_the_sources_is_in_the_table_of_errors() -> None:
    sources = SERVICE_SOURCES.rglob("*.py")
    text = "".join(path.read_text(encoding="utf-8") for path in sources)
    assert {code for code in MADE_BY_HAND if f'"{code}"' in text} == MADE_BY_HAND
    assert [code for code in sorted(MADE_BY_HAND) if f"| `{code}` |" not in page("errors.md")] == []


def test_every_metric_is_in_the_table() -> None:
    exposed = re.findall(rb"^# TYPE (\w+) (\w+)$", Metrics().exposition(), re.MULTILINE)
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \|", page("metrics.md"), re.MULTILINE)
    assert sorted(rows) == sorted(
        (name.decode(), kind.decode()) for name, kind in exposed if not name.endswith(b"_created")
    )


def test_every_rpc_is_described_or_refused() -> None:
    named = re.findall(r"`(\w+)`", "\n".join(re.findall(r"^\| (`.*?) \|", page("grpc.md"), re.MULTILINE)))
    assert sorted(set(named) & {method.name for method in SERVICE.methods}) == sorted(m.name for m in SERVICE.methods)


def test_every_refusal_of_an_import_is_listed_under_a_topic() -> None:
    topics = page("import-messages.md").partition("\n## The commands\n")
    assert topics[2].count("\n- ") < 10, "give the new module a topic: deploy/site/refusals.py"
    raised = sum(
        path.read_text(encoding="utf-8").count("raise ConfigurationError(") for path in OFFLINE_SOURCES.rglob("*.py")
    )
    assert raised - 15 < topics[0].count("\n- ") + topics[2].count("\n- ") <= raised + 15


def test_every_flag_of_an_import_is_listed() -> None:
    flags = re.findall(r"^\| `(--[\w-]+)`", page("import.md").partition("\n## topfive check\n")[0], re.MULTILINE)
    shown = subprocess.run(
        [sys.executable, "-m", "topfive", "import", "--help"], capture_output=True, text=True, check=True
    ).stdout
    assert sorted({*flags, "--help"}) == sorted(set(re.findall(r"^ +(--[\w-]+)", shown, re.MULTILINE)))


def page(name: str) -> str:
    return Path(DOCS, name).read_text(encoding="utf-8")


def test_the_glossary_names_types_that_there_are() -> None:
    glossary = page("architecture.md").partition("\n## Glossary\n")[2]
    named = set(re.findall(r"`([A-Z]\w+)`", glossary))
    sources = [*SERVICE_SOURCES.rglob("*.py"), *OFFLINE_SOURCES.rglob("*.py")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    types = re.findall(r"^(?:class ([A-Z]\w+)|([A-Z]\w+) = )", text, re.MULTILINE)
    assert named
    assert named - {name for found in types for name in found} == set()
