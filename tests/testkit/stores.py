"""Stores of models for tests: real servers of S3 and OCI as processes, one that speaks as Hugging Face, and a double.

What lives here: starting them, and putting files into them. What does not: what is found there (`tests/repository/`).

moto is an S3 server in Python. obstore asks Google Cloud Storage by its XML API, which is S3's, so it serves gs:// too.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote, urlsplit
from urllib.request import Request, urlopen

import pytest

from benchmarks.server import free_port
from tests.testkit.daemon import DEADLINE_SECONDS, Daemon
from topfive.ground.errors import StoreUnreachable
from topfive.ground.store_urls import read_store_url
from topfive.repository.stores import Kind, StoreFile

URL: Final = read_store_url("s3://bucket/models")

needs_registry: Final = pytest.mark.skipif(
    shutil.which("docker-registry") is None, reason="there is no docker-registry: apt-get install docker-registry"
)

SECRET: Final = "not-to-be-shown"
_SIGNED: Final = "AWS4-HMAC-SHA256 Credential=key/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=any"
"""moto looks who it is, and not at the signature."""


class Buckets(Daemon):
    """moto's server, with the bucket `bucket`."""

    def __init__(self, folder: Path) -> None:
        port = free_port()
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        super().__init__(command, url=f"http://127.0.0.1:{port}", folder=folder, ready="/moto-api/")

    @property
    def environment(self) -> dict[str, str]:
        """What a client needs to know."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "GOOGLE_BASE_URL": self.url,
            "GOOGLE_ALLOW_HTTP": "true",
            "GOOGLE_SKIP_SIGNATURE": "true",
        }

    def make(self, bucket: str) -> None:
        """Make an empty `bucket`."""
        self._put(bucket, b"")

    def put(self, bucket: str, files: Mapping[str, bytes]) -> None:
        """Upload `files`, by their keys."""
        for key, data in files.items():
            self._put(f"{bucket}/{key}", data)

    def put_folder(self, bucket: str, folder: Path) -> None:
        """Upload all files in `folder`, by their paths in it."""
        self.put(bucket, files_in(folder))

    def remove(self, bucket: str, key: str) -> None:
        """Remove the object at `key`."""
        self._send(Request(f"{self.url}/{bucket}/{quote(key)}", method="DELETE"))

    def _put(self, path: str, data: bytes) -> None:
        self._send(Request(f"{self.url}/{quote(path)}", data=data, method="PUT"))

    @staticmethod
    def _send(request: Request) -> None:
        request.add_header("Content-Type", "application/octet-stream")
        request.add_header("Authorization", _SIGNED)
        request.add_header("X-Amz-Acl", "public-read")  # gs:// is read without a signature, which has none of S3's form
        with urlopen(request, timeout=DEADLINE_SECONDS):
            pass


class Images(Daemon):
    """Debian's docker-registry, which keeps its blobs in `folder`; `more` is added to its configuration."""

    def __init__(self, folder: Path, *, more: str = "") -> None:
        port = free_port()
        config = folder / "config.yml"
        config.write_text(
            f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {folder / 'blobs'}}}}}\n"
            f"http: {{addr: '127.0.0.1:{port}'}}\n{more}"
        )
        command = ["docker-registry", "serve", str(config)]
        super().__init__(command, url=f"http://127.0.0.1:{port}", folder=folder, ready="/")
        self.address: Final = f"127.0.0.1:{port}"


def files_in(folder: Path) -> dict[str, bytes]:
    """The bytes of all files in `folder`, by their paths; without what a mirror keeps aside."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".topfive" not in path.parts
    }


def sums_of(files: Mapping[str, bytes]) -> bytes:
    """What `sha256sum` writes of `files`."""
    return "".join(f"{hashlib.sha256(data).hexdigest()}  {path}\n" for path, data in files.items()).encode()


@dataclass
class FakeStore:
    """A store in memory that can fail: for what no real server can be made to do.

    `away`: it cannot be reached. `spoiled`: by path, what comes instead of the file's bytes, one after the other.
    `digests`: by path, what it tells instead of the right digest. `on_read` is called before each reading.
    """

    contents: dict[str, bytes] = field(default_factory=dict)
    kind: Kind = "etag"
    away: bool = False
    spoiled: dict[str, list[bytes]] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    reads: list[str] = field(default_factory=list)
    on_read: Callable[[], None] = lambda: None

    def files(self) -> list[StoreFile]:
        self._check()
        return [
            StoreFile(path, len(data), self.kind, self.digests.get(path, self._digest(data)), path)
            for path, data in self.contents.items()
        ]

    def read(self, file: StoreFile) -> Iterator[bytes]:
        self._check()
        self.on_read()
        self.reads.append(file.path)
        spoiled = self.spoiled.get(file.path)
        data = spoiled.pop(0) if spoiled else self.contents[file.path]
        yield data[:2]
        yield data[2:]

    def _check(self) -> None:
        if self.away:
            raise StoreUnreachable("the store is away")

    def _digest(self, data: bytes) -> str:
        if self.kind == "sha256":
            return hashlib.sha256(data).hexdigest()
        if self.kind == "git":
            return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
        return f'"{hashlib.md5(data).hexdigest()}"'


@dataclass
class HuggingFace:
    """The three questions of huggingface_hub that are asked, answered as Hugging Face documents them.

    `commits`: by commit, its files; `branches`: by name, its commit. Files called *.onnx are in LFS. `asked`: all
    paths, each with the token that came.
    """

    commits: dict[str, dict[str, bytes]]
    branches: dict[str, str]
    url: str = ""
    asked: list[tuple[str, str | None]] = field(default_factory=list)

    def answer(self, path: str) -> tuple[int, bytes]:
        """The status and body for `path`."""
        match path.strip("/").split("/"):
            case ["api", "models", "org", "repo", *revision] if not revision or revision[0] == "revision":
                commit = self.branches.get(revision[1] if revision else "main")
                return (200, json.dumps({"id": "org/repo", "sha": commit}).encode()) if commit else (404, b"")
            case ["api", "models", "org", "repo", "tree", commit, *folder]:
                return 200, json.dumps(self._tree(commit, "/".join(folder))).encode()
            case ["org", "repo", "resolve", commit, *rest]:
                return 200, self.commits[commit]["/".join(rest)]
            case _:
                return 404, b""

    def _tree(self, commit: str, folder: str) -> list[object]:
        found: list[object] = [{"type": "directory", "path": f"{folder}/cat".strip("/"), "oid": "0" * 40, "size": 0}]
        for path, data in self.commits[commit].items():
            if not path.startswith(folder):
                continue
            entry: dict[str, object] = {"type": "file", "path": path, "size": len(data)}
            entry["oid"] = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
            if path.endswith(".onnx"):
                entry["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}
            found.append(entry)
        return found


@contextmanager
def hugging_face(commits: dict[str, dict[str, bytes]], branches: dict[str, str]) -> Iterator[HuggingFace]:
    """Such a server, on a thread."""
    spoken = HuggingFace(commits, branches)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = unquote(urlsplit(self.path).path)
            spoken.asked.append((path, self.headers["Authorization"]))
            status, body = spoken.answer(path)
            self.send_response(status)
            if status == 404:
                self.send_header("X-Error-Code", "RevisionNotFound" if "org/repo" in path else "RepoNotFound")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        spoken.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield spoken
        finally:
            server.shutdown()
            thread.join()
