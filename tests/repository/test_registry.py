"""Artifacts of a real registry are read as `oras push` makes them."""

from __future__ import annotations

import base64
import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.testkit.stores import SECRET, Images, files_in, needs_registry
from topfive.ground.errors import ConfigurationError, StoreUnreachable
from topfive.ground.store_urls import read_store_url
from topfive.repository.mirror import Mirror
from topfive.repository.registry import Registry

pytestmark = needs_registry

FILES: Final = {"cat/config.pbtxt": b"config", "cat/1/model.onnx": b"graph" * 999, "labels.txt": b"labels"}


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Images]:
    with Images(tmp_path_factory.mktemp("registry")) as images:
        yield images


@pytest.fixture(autouse=True)
def _no_docker_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("DOCKER_CONFIG", raising=False)


def push(target: str, files: dict[str, bytes], folder: Path, *, packed: bool = False) -> dict[str, Any]:
    """Push in the folder of the models, each file titled by its path as the program `oras` does it; the manifest.

    The library of Python titles it by its last part, unless it is told otherwise.
    """
    from oras.client import OrasClient  # the extra is imported where it is used

    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    titles = folder / "titles.json"
    titles.write_text(json.dumps({path: {"org.opencontainers.image.title": path} for path in files}))
    before = Path.cwd()
    os.chdir(folder)
    try:
        client = OrasClient(insecure=True)
        answer = client.push(target, files=["cat"] if packed else list(files), annotation_file=str(titles))
        assert answer.status_code == 201, answer.text
        manifest: dict[str, Any] = client.get_manifest(target)
        client.session.close()
        return manifest | {"digest": answer.headers["Docker-Content-Digest"]}
    finally:
        os.chdir(before)


def test_an_artifact_is_mirrored_and_its_tag_followed(
    images: Images, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    target = f"{images.address}/team/models:v1"
    first = push(target, FILES, tmp_path / "models")
    mirror = Mirror(read_store_url(f"oci://{target}"), tmp_path / "mirror", max_bytes=1 << 20)
    with caplog.at_level(logging.DEBUG):
        mirror.refresh()
    assert {record.name for record in caplog.records} <= {"topfive"}  # no address, which may be signed
    assert files_in(mirror.folder) == FILES
    push(target, FILES | {"cat/2/model.onnx": b"graph 2"}, tmp_path / "models")
    mirror.refresh()
    assert files_in(mirror.folder) == FILES | {"cat/2/model.onnx": b"graph 2"}
    pinned = Registry(read_store_url(f"oci://{images.address}/team/models@{first['digest']}"))
    assert {file.path for file in pinned.files()} == set(FILES)


def test_a_packed_folder_is_refused_with_the_command_that_is_right(images: Images, tmp_path: Path) -> None:
    target = f"{images.address}/packed:v1"
    push(target, FILES, tmp_path / "models", packed=True)
    with pytest.raises(ConfigurationError) as refused:
        Registry(read_store_url(f"oci://{target}")).files()
    assert "a packed folder" in str(refused.value)
    assert f"oras push {target} $(find" in str(refused.value)


@pytest.mark.parametrize("url", ["oci://{}/missing:v1", "oci://{}/team/models:missing"])
def test_what_is_not_there_is_no_outage(url: str, images: Images) -> None:
    with pytest.raises(ConfigurationError, match="status 404; is it the right name and tag"):
        Registry(read_store_url(url.format(images.address))).files()


def test_a_registry_that_is_not_there_may_come() -> None:
    with pytest.raises(StoreUnreachable, match="is the registry there"):
        Registry(read_store_url("oci://localhost:1/models")).files()


def test_other_machines_are_spoken_to_with_encryption_only() -> None:
    assert not Registry(read_store_url("oci://registry.example/models"))._insecure
    assert not Registry(read_store_url("oci://localhost.example/models"))._insecure


def test_credentials_come_from_dockers_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without them, and with wrong ones, the error says where they belong and does not show them."""
    hashed = "$2b$04$FlZvtJxHpNQjRWMYlEROausIPZxTyu1J.HtmNzvcXKSWgwHdnX5ty"  # of SECRET
    (tmp_path / "htpasswd").write_text(f"me:{hashed}\n")
    config = tmp_path / "docker"
    config.mkdir()
    with Images(tmp_path, more=f"auth: {{htpasswd: {{realm: r, path: {tmp_path / 'htpasswd'}}}}}\n") as images:
        registry = Registry(read_store_url(f"oci://{images.address}/models:v1"))
        said = ""
        for word, status in (("", 401), ("wrong-word", 401), (SECRET, 404)):
            auth = base64.b64encode(f"me:{word}".encode()).decode()
            (config / "config.json").write_text(json.dumps({"auths": {images.address: {"auth": auth}} if word else {}}))
            monkeypatch.setenv("DOCKER_CONFIG", str(config))
            with pytest.raises(ConfigurationError, match=f"status {status}") as refused:
                registry.files()
            said += str(refused.value)
    assert "DOCKER_CONFIG" in said
    assert SECRET not in said
    assert "wrong-word" not in said


def test_a_manifest_that_is_not_the_pinned_one_is_refused() -> None:
    registry = Registry(read_store_url(f"oci://localhost/models@sha256:{'a' * 64}"))
    with pytest.raises(ConfigurationError, match="not the one with this digest"):
        registry._layers(b'{"layers": []}')


def test_a_manifest_that_is_not_of_files_is_refused() -> None:
    registry = Registry(read_store_url("oci://localhost/models"))
    untitled = b'{"layers": [{"digest": "sha256:00", "size": 1}]}'
    for body in (b"{", b"[]", b'{"layers": 3}', untitled, b'{"manifests": []}'):
        with pytest.raises(ConfigurationError, match="is no artifact of files"):
            registry._layers(body)
