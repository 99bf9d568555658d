"""Buckets of a real S3 server are mirrored; what a bucket does not give is said without its secrets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.testkit.stores import SECRET, Buckets, files_in
from topfive.ground.errors import ConfigurationError, StoreUnreachable
from topfive.ground.store_urls import read_store_url
from topfive.repository.bucket import Bucket
from topfive.repository.mirror import Mirror
from topfive.repository.stores import CHUNK_BYTES

FILES: Final = {"cat/config.pbtxt": b"config", "cat/1/a%20 (é)#.bin": b"x" * (CHUNK_BYTES + 1)}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Buckets]:
    with Buckets(tmp_path_factory.mktemp("moto")) as server:
        server.make("bucket")
        yield server


@pytest.fixture
def buckets(server: Buckets, monkeypatch: pytest.MonkeyPatch) -> Buckets:
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    return server


def mirror(url: str, folder: Path) -> Mirror:
    return Mirror(read_store_url(url), folder, max_bytes=1 << 30)


@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_a_prefix_is_mirrored_and_followed(scheme: str, buckets: Buckets, tmp_path: Path) -> None:
    """A file of several ranges, a name that must be quoted, and markers of folders, which are no files."""
    prefix = f"{scheme}/models"
    marked = {f"{prefix}/cat/": b"", f"{prefix}/cat/1/": b"", f"{scheme}/models2/a": b"a"}
    buckets.put("bucket", marked | {f"{prefix}/{path}": data for path, data in FILES.items()})
    mirrored = mirror(f"{scheme}://bucket/{prefix}", tmp_path)
    mirrored.refresh()
    assert files_in(tmp_path) == FILES
    buckets.put("bucket", {f"{prefix}/cat/config.pbtxt": b"changed"})
    buckets.remove("bucket", f"{prefix}/cat/1/a%20 (é)#.bin")
    mirrored.refresh()
    assert files_in(tmp_path) == {"cat/config.pbtxt": b"changed"}


def test_a_whole_bucket_is_a_repository(buckets: Buckets, tmp_path: Path) -> None:
    buckets.make("whole")
    buckets.put("whole", FILES)
    mirror("s3://whole", tmp_path).refresh()
    assert files_in(tmp_path) == FILES


def test_an_object_that_is_replaced_after_it_was_listed_is_not_taken(buckets: Buckets) -> None:
    buckets.put("bucket", {"replaced/a": b"one"})
    bucket = Bucket(read_store_url("s3://bucket/replaced"))
    (file,) = bucket.files()
    buckets.put("bucket", {"replaced/a": b"two"})
    with pytest.raises(StoreUnreachable, match="a was replaced or removed while"):
        list(bucket.read(file))


def test_a_key_that_is_no_path_is_refused_by_name(buckets: Buckets) -> None:
    buckets.put("bucket", {"odd/../escape": b"x"})
    with pytest.raises(ConfigurationError, match=r"odd/\.\./escape"):
        Bucket(read_store_url("s3://bucket/odd")).files()


@pytest.mark.parametrize(
    ("name", "value", "kind", "says"),
    [
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:1", StoreUnreachable, "cannot be reached at http://127.0.0.1:1: "),
        ("AWS_ENDPOINT_URL", f"http://key:{SECRET}@127.0.0.1:1", ConfigurationError, "without name and password"),
        ("AWS_ENDPOINT_URL", "127.0.0.1:1", ConfigurationError, "AWS_ENDPOINT_URL is no address"),
        ("AWS_ALLOW_HTTP", "", ConfigurationError, "AWS_ALLOW_HTTP=true allows that"),
    ],
)
def test_an_endpoint_that_cannot_be_used_is_named(
    name: str, value: str, kind: type[Exception], says: str, buckets: Buckets, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert buckets.url
    monkeypatch.setenv(name, value)
    with pytest.raises(kind) as refused:
        Bucket(read_store_url("s3://bucket/x")).files()
    assert says in str(refused.value)
    assert SECRET not in str(refused.value)


def test_a_bucket_that_is_not_there_is_no_outage(buckets: Buckets) -> None:
    assert buckets.url
    with pytest.raises(ConfigurationError, match="NoSuchBucket; is it the right name"):
        Bucket(read_store_url("s3://missing")).files()


def test_a_bucket_that_may_not_be_read_says_how_it_could_be(buckets: Buckets) -> None:
    bucket = Bucket(read_store_url("s3://bucket/x"))
    said = str(bucket._error(Exception("status code: 403 Forbidden: <Code>AccessDenied</Code>")))
    assert "may not be read (AccessDenied); set AWS_ACCESS_KEY_ID" in said


def test_a_file_of_credentials_that_is_missing_is_named(buckets: Buckets, monkeypatch: pytest.MonkeyPatch) -> None:
    assert buckets.url
    monkeypatch.setenv("GOOGLE_SERVICE_ACCOUNT", "/nowhere.json")
    with pytest.raises(ConfigurationError, match=r"/nowhere\.json"):
        Bucket(read_store_url("gs://bucket/x"))
