"""The lines of `topfive example` run as they are printed."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from skimage import data

from tests.conftest import Encode
from tests.pipeline.commands.conftest import Run
from tests.pipeline.conftest import no_servers
from tests.pipeline.importing import imported, wanted
from tests.testkit.serving_process import ServingProcess, serving
from topfive_pipeline.commands.example import main
from topfive_pipeline.proof.photos import Photo


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory, small_photos: list[Photo]) -> Path:
    """An ensemble, and its classifier by itself, which takes images of one size only."""
    folder = tmp_path_factory.mktemp("example")
    with no_servers():
        imported(wanted(folder), folder / "my models", small_photos)
    return folder / "my models"


@pytest.fixture(scope="module")
def service(repository: Path) -> Iterator[ServingProcess]:
    with serving("--model-repository", str(repository)) as service:
        yield service


def _parts(text: str) -> dict[str, str]:
    """The text by the first word of each comment at the beginning of a line."""
    parts = [part.partition("\n") for part in ("\n" + text).split("\n# ")[1:]]
    return {title.partition(":")[0]: body for title, _, body in parts}


@pytest.mark.parametrize("name", ["pets", "pets_classify"])
def test_the_python_lines_run_and_answer(
    name: str,
    run: Run,
    repository: Path,
    service: ServingProcess,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    encode: Encode,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photo.jpg").write_bytes(encode(data.chelsea()[:4, :4] if name != "pets" else data.chelsea(), "JPEG"))
    ran = run(main, name, "--repository", repository, "--url", f"http://127.0.0.1:{service.port}/")
    assert (ran.code, ran.err) == (0, "")
    parts = _parts(ran.out)
    exec(compile(parts["Python"], "example", "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    assert sorted(line.split("  ")[1] for line in lines) == ["ant", "bee", "cat"]
    exec(compile(parts["The Open Inference Protocol"], "example", "exec"), {})
    assert sorted(capsys.readouterr().out.splitlines()[0].strip("[]").replace("b'", "").replace("'", "").split()) == [
        *("ant", "bee", "cat")
    ]


def test_the_shell_lines_name_the_repository_and_the_model(run: Run, repository: Path) -> None:
    parts = _parts(run(main, "pets", "--repository", repository).out)
    assert shlex.split(parts["Serve it"]) == ["topfive", "--model-repository", str(repository)]
    assert shlex.split(parts["curl"])[-1] == "http://127.0.0.1:8000/v1/classify?model=pets"


@pytest.mark.parametrize("name", ["none", "pets_resize"])
def test_what_cannot_be_asked_is_refused_with_what_can(name: str, run: Run, repository: Path) -> None:
    ran = run(main, name, "--repository", repository)
    assert ran.code == 2
    assert f"has no model '{name}' that can be asked; it has pets" in ran.err
