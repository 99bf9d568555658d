"""A store's URL says where models lie, and nothing else."""

from __future__ import annotations

import pytest

from topfive.ground.store_urls import is_url, read_store_url

DIGEST = f"@sha256:{'a' * 64}"


@pytest.mark.parametrize(
    ("text", "place", "path", "revision"),
    [
        ("s3://bucket", "bucket", "", None),
        ("s3://my.bucket/a/b c/", "my.bucket", "a/b c", None),
        ("gs://bucket/models", "bucket", "models", None),
        ("hf://org/repo", "org/repo", "", None),
        ("hf://org/repo@v1.0/models", "org/repo", "models", "v1.0"),
        ("hf://org/repo@refs%2Fpr%2F1", "org/repo", "", "refs/pr/1"),
        ("oci://registry.example/team/models:v1", "registry.example/team/models", "", ":v1"),
        ("oci://localhost/models", "localhost/models", "", None),
        ("oci://registry:5000/models", "registry:5000/models", "", None),
        (f"oci://127.0.0.1:5000/models{DIGEST}", "127.0.0.1:5000/models", "", DIGEST),
    ],
)
def test_what_a_url_names(text: str, place: str, path: str, revision: str | None) -> None:
    url = read_store_url(text)
    assert (url.place, url.path, url.revision, str(url)) == (place, path, revision, text)
    assert is_url(text)
    assert not is_url("folder/models")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("s3://key:secret@bucket/models", "set them in the environment"),
        ("s3://bucket/models?X-Amz-Signature=secret", "has no parameters"),
        ("hf://user:secret@host/repo", "hf://organisation/repository@revision/folder"),
        ("oci://user:secret@registry.example/models:v1", "oci://registry/repository:tag"),
        ("oci://models:v1", "oci://registry/repository:tag"),
        ("https://secret.example/models", "s3://bucket/prefix, gs://"),
        ("file:///secret", "or name a folder"),
        ("s3://", "s3://bucket/prefix"),
        ("s3://bucket/a/../secret", "'..'"),
        ("s3://bucket/a//secret", "empty"),
        ("gs://bucket/a\nsecret", "gs://bucket/prefix"),
    ],
)
def test_a_url_that_means_nothing_is_refused_without_being_shown(text: str, says: str) -> None:
    with pytest.raises(ValueError, match="write ") as refused:
        read_store_url(text)
    assert says in str(refused.value)
    assert "secret" not in str(refused.value)
