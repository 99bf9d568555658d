"""Every limit and knob of the service, in one typed object; the only file that reads the environment.

Each setting is an environment variable (`TOPFIVE_MAX_BODY_BYTES=...`) and a flag of the same name
(`--max-body-bytes ...`); a flag wins. What belongs to a model (batch size, queue delay, instances, threads, timeouts)
is in its `config.pbtxt`, not here.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from topfive.config.command_line import PREFIX, flag_of, read_flags, unknown_variables
from topfive.ground.client_addresses import read_networks
from topfive.ground.errors import ConfigurationError
from topfive.ground.origins import read_origins

_METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
_MIB = 1 << 20


class Settings(BaseSettings):
    """Serve image classifiers from a Triton-layout model repository over HTTP."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        frozen=True,
        extra="forbid",
    )

    host: str = Field("127.0.0.1", description="Address to listen on. Change it to 0.0.0.0 in a container.")
    port: int = Field(8000, ge=0, le=65535, description="TCP port to listen on; 0 takes a free one and logs it.")
    grpc: bool = Field(
        True,
        description="Serve the Open Inference Protocol over gRPC too. Turn it off to keep its port and threads free.",
    )
    grpc_port: int = Field(
        8001, ge=0, le=65535, description="TCP port of the gRPC server; 0 takes a free one and logs it."
    )
    grpc_reflection: bool = Field(
        True,
        description="Describe the gRPC services to clients that ask (grpcurl, Postman). It tells no more than this "
        "project's documentation does; with api_keys_file it needs a key.",
    )
    root_path: str = Field(
        "",
        pattern=r"^((/[A-Za-z0-9._~-]+)+)?$",
        description="Path that a proxy in front puts before all others and leaves there, such as /topfive. One that it "
        "takes away again needs no setting.",
    )
    cors_origins: str = Field(
        "",
        description="Origins whose pages may call the service from a browser, with commas between them "
        "(https://shop.example,http://localhost:5173), or * for all. None are by default.",
    )
    workers: int = Field(
        1,
        ge=1,
        le=256,
        description="Worker processes that share the port and the cores. Raise it when one process' HTTP work, not the "
        "model, fills a core (beyond about 3000 requests/s); each holds its own copy of the models and its own queue.",
    )
    model_repository: Path | None = Field(
        None,
        description="Folder of models in Triton's layout. None is the reference model that comes with topfive; name a "
        "folder to serve your own.",
    )
    default_model: str | None = Field(
        None,
        description="The model that answers requests to /v1/classify that name none. None is the only ensemble, or the "
        "only model; set it where the repository holds several.",
    )
    backend: Literal["embedded", "triton", "null"] = Field(
        "embedded",
        description="What runs the graphs: 'embedded' is ONNX Runtime in this process; 'triton' is a Triton at "
        "triton_url, for the batches, while images are still decoded and resized here; 'null' answers at once with "
        "empty labels and measures the front end alone.",
    )
    triton_url: str | None = Field(
        None,
        pattern=r"^[^/\s]+:\d+$",
        description="Where Triton's gRPC listens, as host:port. It must serve the models of this repository.",
    )
    triton_slots: int = Field(
        0,
        ge=0,
        le=1024,
        description="Batches of a model that may be at Triton at once; 0 means two for each of its instances there, so "
        "that none waits for the next. Raise it when several services share a Triton that stays below its capacity.",
    )
    triton_timeout_seconds: float = Field(
        5.0,
        gt=0,
        allow_inf_nan=False,
        description="How long Triton may take to say whether its model is ready, or to run a batch; after that it "
        "counts as gone, and requests are refused with 503 until it answers both again. Set it above what the slowest "
        "batch takes there, its wait for the batches of others included.",
    )
    model_control: Literal["none", "explicit", "poll"] = Field(
        "none",
        description="Who may change the served models without a restart: 'none', nobody; 'explicit', clients, with "
        "load and unload of the model repository extension (protect it with api_keys_file); 'poll', the repository "
        "itself, looked at every poll_seconds.",
    )
    poll_seconds: float = Field(
        15.0,
        gt=0,
        allow_inf_nan=False,
        description="How often the repository is looked at when model_control is 'poll'.",
    )
    load_seconds: float = Field(
        120.0,
        gt=0,
        allow_inf_nan=False,
        description="How long the opening of one model's graph may take, and again its warm-up. What takes longer is "
        "given up and named: at the start the service ends, later the model is refused and the others are served on.",
    )
    cores: int = Field(
        0,
        ge=0,
        le=1024,
        description="Cores to use, shared by all workers; all numbers of threads follow from it. 0 finds out: those of "
        "the affinity mask, cut by the CPU quotas of the process' control groups, where a started core counts whole. "
        "Set it to leave cores to other programs, or where the quota is not visible to the process.",
    )
    alone_threads: int = Field(
        0,
        ge=0,
        description="Threads for a request that finds the service empty; 0 means all cores, 1 means no more than any "
        "other. Set it to 1 when other programs share the cores, or to save the memory of one more session.",
    )
    prepare_threads: int = Field(
        0,
        ge=0,
        description="Threads that decode and resize; 0 means one for each core. As many again, with a process each, "
        "prepare what is dear: files of more than about 2 megapixels as JPEG, and 0.7 in other formats.",
    )
    max_decode_seconds: float = Field(
        10.0,
        gt=0,
        allow_inf_nan=False,
        description="Longest time that one image may take to be decoded; then it is refused with 413, or with 429 if "
        "the machine was too busy for it. Photos of 25 megapixels take 0.1 to 2 s. Raise it with max_image_pixels.",
    )
    max_body_bytes: int = Field(
        80_000_000,
        ge=1,
        description="Longest request body in bytes. The default holds a raw image of max_image_pixels.",
    )
    max_json_bytes: int = Field(
        8 * _MIB,
        ge=1,
        description="Longest JSON in an inference request, beside its binary tensors, and of images as base64. Pixels "
        "written as JSON numbers "
        "take four times the room and a hundred times the CPU, and while they are parsed nothing else runs: so JSON "
        "also holds a million values at most, an image of 590x590. Send larger ones as binary tensors.",
    )
    grpc_max_message_bytes: int = Field(
        16 * _MIB,
        ge=1,
        description="Longest gRPC message. gRPC holds a message in memory before anything can refuse it, so what "
        "clients can make the service hold is this, and a quarter, times grpc_max_requests. The default takes five "
        "megapixels.",
    )
    max_images_per_request: int = Field(64, ge=1, description="Most images in one request (?count=).")
    max_image_pixels: int = Field(
        25_000_000,
        ge=1,
        description="Most pixels in one image, checked before it is decoded. Raise it for cameras above 25 megapixels. "
        "While an image is decoded it takes 8 (JPEG), 9 (PNG) to 18 (WebP) bytes a pixel, which for large ones count "
        "against max_in_flight_bytes.",
    )
    max_image_dimension: int = Field(32_768, ge=1, description="Longest side of an image in pixels.")
    allow_damaged_images: bool = Field(
        False,
        description="Answer for JPEGs whose data are damaged or missing in the middle, as far as they can be read, "
        "rather than refuse them with 422. The missing part is grey or smeared, and the labels may be wrong.",
    )
    convert_colour_profiles: bool = Field(
        True,
        description="Convert images whose embedded ICC profile is not sRGB (Display P3, Adobe RGB, CMYK) to sRGB, as "
        "browsers do. Turn it off to take their numbers as they stand.",
    )
    max_in_flight_requests: int = Field(
        512,
        ge=1,
        description="Most requests held at once, from their whole body to their answer; one more is refused with 429. "
        "Lower it to refuse sooner under overload instead of queueing.",
    )
    max_in_flight_bytes: int = Field(
        512 * _MIB,
        ge=1,
        description="Most bytes held at once by bodies, and by large images while they are decoded; bounds memory. "
        "Must hold at least one max_body_bytes. Where they are spent, bodies that stall for more than two seconds make "
        "room, with 408. A JPEG of 12 megapixels counts 100 MB while it is decoded, and one image is decoded even "
        "where there is no room: raise it where many cores decode large photos.",
    )
    grpc_max_requests: int = Field(
        64,
        ge=1,
        description="Most gRPC requests held at once, from their head to their answer. One more is refused, unless "
        "another has kept the service waiting for its message for more than a second, or comes from an address that "
        "waits in more places: then that one is.",
    )
    max_queue_items: int = Field(
        512,
        ge=1,
        description="Most images that wait for a batch, for models whose config.pbtxt sets no max_queue_size. At 250 "
        "images/s the default is two seconds of waiting.",
    )
    max_queue_wait_seconds: float = Field(
        2.0,
        gt=0,
        allow_inf_nan=False,
        description="Longest wait for a batch, as estimated from the measured cost of an image; who would wait longer "
        "is refused at once with 429. The default serves a burst of 64 clients on two cores; where the tail under "
        "overload matters more, 0.25 or less keeps it short. A queue of no more than one batch of max_batch_size is "
        "never refused.",
    )
    stuck_batch_seconds: float = Field(
        30.0,
        gt=0,
        allow_inf_nan=False,
        description="How long a batch may run before it is ended and fails, alone. Only if it cannot be ended, the "
        "process counts as broken: it then answers everybody with an error, and exits for its supervisor. Set it far "
        "above what the slowest batch takes.",
    )
    max_connections: int = Field(
        4096,
        ge=1,
        description="Most HTTP connections at once, in each worker process. One more closes the one whose client has "
        "kept the service waiting longest, the idle ones first. Each needs an open file (ulimit -n), and where that "
        "limit is low, there are fewer, with a warning. gRPC has as many of its own, and refuses one more.",
    )
    head_seconds: float = Field(
        10.0,
        gt=0,
        allow_inf_nan=False,
        description="How long a request's head may take from its first byte on, answered with 408 then; and how long "
        "a new connection may take to its first byte, with TLS its handshake included.",
    )
    body_seconds: float = Field(
        60.0,
        gt=0,
        allow_inf_nan=False,
        description="How long a request's body may take after its head; answered with 408 then. Raise it for clients "
        "whose lines take longer for their largest images.",
    )
    send_seconds: float = Field(
        20.0,
        gt=0,
        allow_inf_nan=False,
        description="How long a client may read nothing of an answer that waits for it; its connection is cut then.",
    )
    keep_alive_seconds: int = Field(
        75,
        ge=1,
        description="How long an idle connection stays open. Keep it above the idle timeout of the balancer in front, "
        "60 s for many, or a request may run into the closing: docs/operations.md has a table.",
    )
    grpc_max_connection_age_seconds: float = Field(
        0.0,
        ge=0,
        allow_inf_nan=False,
        description="How long a gRPC connection may last, give or take a tenth: then its client is told to make "
        "another, and what is in flight is still answered. 0 means for ever. Set it (300, say) behind a balancer that "
        "spreads connections, so that new replicas get their share.",
    )
    api_keys_file: Path | None = Field(
        None,
        description="File of API keys, one a line, of which every request but the probes must carry one as "
        "`Authorization: Bearer <key>`. None asks for none.",
    )
    metrics_need_key: bool = Field(False, description="Ask for an API key at /metrics too.")
    tls_certificate_file: Path | None = Field(
        None, description="PEM file of the certificate chain; with tls_key_file, HTTPS and gRPC over TLS are served."
    )
    tls_key_file: Path | None = Field(None, description="PEM file of the certificate's private key.")
    drain_grace_seconds: float = Field(
        0.0,
        ge=0,
        description="How long, after SIGTERM, the service reports not ready but still serves, so that a load balancer "
        "can notice. Set it above the balancer's probe interval.",
    )
    shutdown_seconds: float = Field(
        7.0,
        gt=0,
        allow_inf_nan=False,
        description="Bound on answering what is left after the grace; then the process ends regardless. Requests whose "
        "body is not whole after the first two seconds of it are let go with 503. What kills the process must wait for "
        "the grace, this and two seconds; the default fits into Docker's ten.",
    )
    otlp_endpoint: str | None = Field(
        None,
        pattern=r"^https?://[^\s/?#]+(/[^\s?#]*)?$",
        description="Where to send a trace span for each request: the URL of an OTLP/HTTP receiver, as "
        "http://collector:4318 (/v1/traces is added where there is no path). Needs the extra 'otel'. None sends none.",
    )
    trace_sample_ratio: float = Field(
        1.0,
        ge=0,
        le=1,
        description="Share of the requests without a `traceparent` of which a span is sent. Whoever sends one has "
        "decided itself. Lower it when the receiver cannot take them all.",
    )
    trusted_proxies: str = Field(
        "",
        description="Addresses or networks of the proxies in front, with commas between them (10.0.0.0/8,::1): of a "
        "request from one of them, the log names the client that its X-Forwarded-For names.",
    )
    log_requests: bool = Field(True, description="Write one line for each request.")
    log_format: Literal["auto", "json", "text"] = Field(
        "auto",
        description="'json' is one JSON object a line, for programs; 'text' is for people; 'auto' is text where the "
        "log goes to a terminal, else JSON.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least severe line written.")

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, value: str) -> str:
        read_networks(value)
        return value

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, value: str) -> str:
        read_origins(value)
        return value

    @property
    def served_repository(self) -> Path:
        """The folder that `model_repository` means."""
        return self.model_repository or reference_repository()


def reference_repository() -> Path:
    """The model repository that comes with topfive: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "model_repository"
    return installed if installed.is_dir() else package.parents[1] / "model_repository"


def load_settings(arguments: Sequence[str] | None = None) -> Settings:
    """Settings from `arguments` (flags, without the program's name) and the environment.

    Raises `ConfigurationError` naming the setting, or the flag that does not exist.
    """
    fields = Settings.model_fields
    known = {PREFIX + name.upper() for name in fields}
    unknown = sorted(name for name in os.environ if name.startswith(PREFIX) and name not in known)
    if unknown:
        raise ConfigurationError(unknown_variables(unknown, fields))
    flags: dict[str, Any] = {**read_flags(arguments or (), fields)}
    try:
        settings = Settings(**flags)
    except ValidationError as error:
        raise ConfigurationError("; ".join(_explain(detail) for detail in error.errors())) from error
    if settings.max_in_flight_bytes < settings.max_body_bytes:
        raise ConfigurationError("max_in_flight_bytes is below max_body_bytes, so the largest body could never enter")
    if (settings.backend == "triton") != (settings.triton_url is not None):
        raise ConfigurationError(
            "backend 'triton' and triton_url go together: set TOPFIVE_TRITON_URL to the host:port of Triton's gRPC, "
            "and only then TOPFIVE_BACKEND=triton"
        )
    if settings.workers > 1 and settings.model_control == "explicit":
        raise ConfigurationError(
            "model_control 'explicit' needs workers 1, for a request to load a model reaches one process only; let "
            "each look at the repository itself with 'poll'"
        )
    return settings


def export_settings(settings: Settings, folder_for_metrics: str) -> None:
    """Hand `settings` down to worker processes, which read them from the environment again.

    `folder_for_metrics` is where the processes' metrics meet; Prometheus' client reads its name when it is imported.
    """
    for name in Settings.model_fields:
        if (value := getattr(settings, name)) is not None:
            os.environ[PREFIX + name.upper()] = str(value)
    os.environ[_METRICS_FOLDER] = folder_for_metrics


def named_temp_folder() -> str | None:
    """The folder for temporary files that the environment names, None if it names none."""
    return os.environ.get("TMPDIR") or None


def wants_colours() -> bool:
    """Whether a terminal may be sent colours: see no-color.org."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def shared_metrics_folder() -> str | None:
    """Where worker processes' metrics meet; None in a process that serves alone."""
    return os.environ.get(_METRICS_FOLDER)


def _explain(detail: object) -> str:
    assert isinstance(detail, dict)
    name = ".".join(map(str, detail["loc"]))
    return f"setting {PREFIX}{name.upper()} ({flag_of(name)}) is {detail['input']!r}: {detail['msg']}"
