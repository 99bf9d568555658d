"""All settings of the service in one typed object: one flat list, of which each says what it means.

Each setting is an environment variable (`TOPFIVE_MAX_BODY_BYTES=...`) and a flag of the same name
(`--max-body-bytes ...`); the flag wins. The settings of a model (batch size, queue delay, instances, threads, timeouts)
are in its `config.pbtxt`, not here. `config.environment` reads them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, PlainValidator, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from topfive.config.command_line import PREFIX
from topfive.ground.client_addresses import read_networks
from topfive.ground.origins import read_origins
from topfive.ground.store_urls import StoreUrl, is_url, read_store_url
from topfive.ground.trial_rules import read_canary, read_header, read_shadow

_MIB = 1 << 20


def _repository(value: object) -> Path | StoreUrl | None:
    """A folder, or the URL of a store; pydantic's own union would read the folder `0` as a number."""
    if value is None or isinstance(value, (Path, StoreUrl)):
        return value
    if not isinstance(value, str):
        raise ValueError("it is neither a folder nor a URL")
    return read_store_url(value) if is_url(value) else Path(value)


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
        description="Serve the Open Inference Protocol over gRPC too. Turn it off to free its port and threads.",
    )
    grpc_port: int = Field(
        8001, ge=0, le=65535, description="TCP port of the gRPC server; 0 takes a free one and logs it."
    )
    grpc_reflection: bool = Field(
        True,
        description="Describe the gRPC services to clients that ask (grpcurl, Postman). It tells no more than this "
        "project's documentation; with api_keys_file it needs a key.",
    )
    root_path: str = Field(
        "",
        pattern=r"^((/[A-Za-z0-9._~-]+)+)?$",
        description="Prefix, such as /topfive, that a proxy in front puts before all paths and leaves there. A prefix "
        "that the proxy removes again needs no setting.",
    )
    cors_origins: str = Field(
        "",
        description="Origins whose pages may call the service from a browser, with commas between them "
        "(https://shop.example,http://localhost:5173), or * for all. By default no origin may.",
    )
    workers: int = Field(
        1,
        ge=1,
        le=256,
        description="Worker processes that share the port and the cores. Raise it when one process' HTTP work, not the "
        "model, fills a core (beyond about 3000 requests/s). Each worker process has its own copy of the models and "
        "its own queue.",
    )
    model_repository: Annotated[Path | StoreUrl | None, NoDecode, PlainValidator(_repository)] = Field(
        None,
        description="Folder of models in Triton's layout. None means the reference model that comes with topfive; name "
        "a folder to serve your own models. Or the URL of such a folder in a store, which is mirrored here: "
        "s3://bucket/prefix, gs://bucket/prefix, hf://organisation/repository@revision/folder, "
        "oci://registry/repository:tag (docs/stores.md). Needs the extra 'stores'.",
    )
    model_cache_dir: Path | None = Field(
        None,
        description="Folder for the mirrors of model repositories in stores. A restart fetches nothing again that is "
        "in it. None means topfive in XDG_CACHE_HOME, else in ~/.cache, or topfive-<user id> among temporary files "
        "where there is no home to write to. Nobody else may write to it.",
    )
    model_cache_bytes: int = Field(
        32 << 30,
        ge=1,
        description="Most bytes that a model repository in a store may hold; a larger one is refused before anything "
        "is fetched. While a change is taken in, old and new models are on the disk.",
    )
    default_model: str | None = Field(
        None,
        description="The model that answers requests to /v1/classify that name no model. None means the only ensemble, "
        "or the only model; set it if the repository holds several.",
    )
    backend: Literal["embedded", "triton", "null"] = Field(
        "embedded",
        description="The backend, which runs the graphs. 'embedded' is ONNX Runtime in this process. 'triton' sends "
        "the batches to the Triton at triton_url, while images are still decoded and resized here. 'null' answers at "
        "once with empty labels, to measure the front end alone.",
    )
    precision: Literal["auto", "fp32", "int8"] = Field(
        "auto",
        description="Whether a model that has an int8 graph beside its own is served from it. 'auto': if the processor "
        "multiplies bytes fast (VNNI, AMX, Arm's dot products), so that it is about twice as fast, and if the model "
        "runs on the CPU. 'fp32': never; answers are then the same on every machine, up to the last bits. 'int8': the "
        "same as 'auto', but the service does not start if it has no such processor or no such model. What runs is in "
        "the log and in topfive_model_info. A model whose only graph is int8 is served from that in any case.",
    )
    triton_url: str | None = Field(
        None,
        pattern=r"^(dns:///)?[^/\s]+:\d+$",
        description="Address of Triton's gRPC, as host:port. That Triton must serve the models of this repository. "
        "dns:///name:port is for several Tritons of these models, one at each address behind the name: all get their "
        "share of the batches, and a batch that one of them cannot take goes to another.",
    )
    triton_slots: int = Field(
        0,
        ge=0,
        le=1024,
        description="Most batches of a model that are at Triton at once; 0 means two for each of the model's instances "
        "there, so that no instance waits for its next batch. Raise it when several services share a Triton that stays "
        "below its capacity.",
    )
    triton_timeout_seconds: float = Field(
        5.0,
        gt=0,
        allow_inf_nan=False,
        description="How long Triton may take to say whether its model is ready, or to run a batch. After that it "
        "counts as gone, and requests are refused with 503 until it answers both again. Set it above the time of the "
        "slowest batch there, including its wait for batches of other services.",
    )
    model_control: Literal["none", "explicit", "poll"] = Field(
        "none",
        description="How the served models can change without a restart. 'none': they cannot. 'explicit': clients "
        "change them, with load and unload of the model repository extension (protect it with api_keys_file). 'poll': "
        "the service reads the repository every poll_seconds and serves what it holds then.",
    )
    poll_seconds: float = Field(
        15.0,
        gt=0,
        allow_inf_nan=False,
        description="How often the repository is read when model_control is 'poll'.",
    )
    shadow: str = Field(
        "",
        description="Copies a share of the requests that a model has answered to another version, and compares: "
        "efficientnet_lite0:2@10%, to version 2 of the same model; efficientnet_lite0=other:1@10%, to another model "
        "here; efficientnet_lite0=http://host:8000?model=m&version=2@10%, to another service. Clients notice nothing. "
        "Empty copies nothing.",
    )
    shadow_busy_share: float = Field(
        0.01,
        gt=0,
        le=1,
        description="Most of the time that a shadow in this process may compute. Of live requests that come at random, "
        "so many meet one of its inferences and share the cores with it: 0.01 is one in a hundred. With more, more "
        "images are compared. It is of each worker process.",
    )
    shadow_max_images: int = Field(
        64,
        ge=1,
        description="Most images that wait for the shadow. More are not copied, and counted as dropped.",
    )
    shadow_max_bytes: int = Field(
        32 * _MIB,
        ge=1,
        description="Most bytes of the images that wait for the shadow; the same holds. A crop that the shadow takes "
        "as it is has 150 kB; a shadow elsewhere gets the image as it came.",
    )
    shadow_timeout_seconds: float = Field(
        5.0,
        gt=0,
        allow_inf_nan=False,
        description="How long a shadow at a URL may take for an answer.",
    )
    shadow_key_file: Path | None = Field(
        None,
        description="File with the API key that a shadow at a URL asks for. None sends none.",
    )
    canary: str = Field(
        "",
        description="Lets a version answer a share of the requests that name no version: efficientnet_lite0:2@5%. What "
        "it fails is answered by the live version; if it does worse, it gets no more. Empty has no canary.",
    )
    canary_header: str = Field(
        "x-request-id",
        description="Header (over gRPC, metadata) by which requests are the canary's or not: those with the same value "
        "always get the same version, if it names a user, say. A request without it is chosen at random.",
    )
    canary_max_slowdown: float = Field(
        1.5,
        ge=0,
        allow_inf_nan=False,
        description="How many times as long as the live version's an answer of the canary may take on average before "
        "it is taken back. 0 means any.",
    )
    load_seconds: float = Field(
        120.0,
        gt=0,
        allow_inf_nan=False,
        description="How long the opening of one model's graph may take, and also its warm-up. If it takes longer, the "
        "service gives up and names the model. At the start the service then ends; later it refuses the model and goes "
        "on serving the other models.",
    )
    engine_cache_folder: Path | None = Field(
        None,
        description="Folder in which TensorRT may keep the engines that it builds for a GPU, so that the next start "
        "does not build them again: a model whose config.pbtxt sets trt_engine_cache_enable has a folder in it. It "
        "must be outside of the model repository, and nobody else may write to it. None keeps none.",
    )
    cores: int = Field(
        0,
        ge=0,
        le=1024,
        description="Cores to use, shared by all worker processes; all numbers of threads follow from it. 0 means the "
        "cores of the affinity mask, reduced by the CPU quotas of the process' control groups, rounded up to whole "
        "cores. Set it to leave cores to other programs, or if the process cannot see its quota.",
    )
    alone_threads: int = Field(
        0,
        ge=0,
        description="Threads for a request that finds the service idle; 0 means all cores, 1 means as many as for any "
        "other request. Set it to 1 when other programs share the cores, or to save the memory of one more session.",
    )
    prepare_threads: int = Field(
        0,
        ge=0,
        description="Threads that decode and resize; 0 means one for each core. As many further threads, each with a "
        "process of its own, prepare dear images: JPEGs above about 2 megapixels, other formats above 0.7.",
    )
    max_decode_seconds: float = Field(
        10.0,
        gt=0,
        allow_inf_nan=False,
        description="How long the decoding of one image may take; after that it is refused with 413, or with 429 if "
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
        description="Most bytes of JSON in one request: beside binary tensors, or with images as base64. Pixels as "
        "JSON numbers take four times the space and a hundred times the CPU, and nothing else runs while they are "
        "parsed. So JSON may also hold at most a million values, which is an image of 590x590. Send larger images as "
        "binary tensors.",
    )
    grpc_max_message_bytes: int = Field(
        16 * _MIB,
        ge=1,
        description="Longest gRPC message in bytes. gRPC holds a message in memory before the service can refuse it. "
        "So clients can make the service hold 1.25 times this, times grpc_max_requests. The default takes an image of "
        "five megapixels.",
    )
    max_images_per_request: int = Field(64, ge=1, description="Most images in one request (?count=).")
    max_image_pixels: int = Field(
        25_000_000,
        ge=1,
        description="Most pixels in one image, checked before it is decoded. Raise it for cameras above 25 megapixels. "
        "While an image is decoded, it takes 8 (JPEG), 9 (PNG) to 18 (WebP) bytes a pixel; for large images they count "
        "against max_in_flight_bytes.",
    )
    max_image_dimension: int = Field(32_768, ge=1, description="Longest side of an image in pixels.")
    allow_damaged_images: bool = Field(
        False,
        description="Answer for JPEGs whose data are damaged or missing in the middle, as far as they can be read, "
        "instead of refusing them with 422. The missing part is grey or smeared, and the labels may be wrong.",
    )
    convert_colour_profiles: bool = Field(
        True,
        description="Convert images whose embedded ICC profile is not sRGB (Display P3, Adobe RGB, CMYK) to sRGB, as "
        "browsers do. Turn it off to use their numbers unchanged.",
    )
    max_in_flight_requests: int = Field(
        512,
        ge=1,
        description="Most requests in flight at once: their body has come, their answer has not. One more request is "
        "refused with 429. Lower it to refuse sooner under overload instead of queueing.",
    )
    max_in_flight_bytes: int = Field(
        512 * _MIB,
        ge=1,
        description="Most bytes held at once by bodies, and by large images while they are decoded; bounds memory. It "
        "must be at least max_body_bytes. When the bytes are used up, requests whose body has stalled for more than "
        "two seconds are answered with 408, to make room. A JPEG of 12 megapixels counts 100 MB while it is decoded, "
        "and one image at a time is decoded even without room for it. Raise it if many cores decode large photos.",
    )
    answer_cache_bytes: int = Field(
        0,
        ge=0,
        description="Bytes of memory for answers, by the SHA-256 of each image, so that an image that comes again is "
        "answered without decoding or running it. An answer of five labels takes 1.7 kB. The least recently asked for "
        "leaves first. Each worker process has as much, of its own. 0 keeps none. Clients can find out by timing "
        "whether an image was asked for before: docs/cache.md. Not with the backend 'triton', whose models may change "
        "unseen.",
    )
    answer_cache_seconds: float = Field(
        3600.0,
        gt=0,
        allow_inf_nan=False,
        description="How long an answer is kept, from when it was computed. An answer is never given for a model that "
        "was replaced, so this is no matter of freshness: it bounds how long the service remembers an image.",
    )
    grpc_max_requests: int = Field(
        64,
        ge=1,
        description="Most gRPC calls held at once, from their head to their answer. One more call is refused. But if "
        "an older call has kept the service waiting for its message for more than a second, or comes from an address "
        "with more such calls, the older call is refused instead.",
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
        description="Longest wait for a batch, estimated from the measured cost of an image. A request that would wait "
        "longer is refused at once with 429. The default serves a burst of 64 clients on two cores; if the slowest "
        "answers under overload matter more, 0.25 or less keeps them short. While fewer images wait than a batch of "
        "max_batch_size holds, no request is refused for this.",
    )
    stuck_batch_seconds: float = Field(
        30.0,
        gt=0,
        allow_inf_nan=False,
        description="How long a batch may run before it is ended and fails; other batches go on. Only if it cannot be "
        "ended, the process counts as broken: it then answers all requests with an error, and exits so that its "
        "supervisor starts another. Set it far above the time of the slowest batch.",
    )
    max_connections: int = Field(
        4096,
        ge=1,
        description="Most HTTP connections at once, in each worker process. One more connection closes the one whose "
        "client has kept the service waiting longest, idle ones first. Each needs open files (ulimit -n); if that "
        "limit is low, the service allows fewer connections and logs a warning. gRPC may have as many connections of "
        "its own, and refuses one more.",
    )
    head_seconds: float = Field(
        10.0,
        gt=0,
        allow_inf_nan=False,
        description="How long a request's head may take, from its first byte; after that the answer is 408. Also how "
        "long a new connection may take until its first byte, including the handshake of TLS.",
    )
    body_seconds: float = Field(
        60.0,
        gt=0,
        allow_inf_nan=False,
        description="How long a request's body may take, from the end of its head; after that the answer is 408. Raise "
        "it if clients on slow lines take longer for their largest images.",
    )
    send_seconds: float = Field(
        20.0,
        gt=0,
        allow_inf_nan=False,
        description="How long a client may read nothing of an answer that waits for it; after that its connection is "
        "cut.",
    )
    keep_alive_seconds: int = Field(
        75,
        ge=1,
        description="How long an idle connection stays open. Keep it above the idle timeout of the load balancer in "
        "front, often 60 s, or a request may come just as the connection closes: docs/operations.md has a table.",
    )
    grpc_max_connection_age_seconds: float = Field(
        0.0,
        ge=0,
        allow_inf_nan=False,
        description="How long a gRPC connection may last, give or take a tenth. After that its client is told to open "
        "another; calls in flight are still answered. 0 means for ever. Set it (300, say) behind a load balancer that "
        "spreads connections, so that new replicas get their share.",
    )
    api_keys_file: Path | None = Field(
        None,
        description="File of API keys, one a line. Every request except the probes must then have one of them, as "
        "`Authorization: Bearer <key>`. A line may also name the key's tenant, its rate, its quota and its share under "
        "overload: docs/tenants.md. None means that no key is needed.",
    )
    quota_folder: Path | None = Field(
        None,
        description="Folder in which it is kept what each tenant has used of its quota, in a file of 32 bytes each. "
        "None means that a restart forgets it. Services on one machine that name the same folder share the limits.",
    )
    metrics_need_key: bool = Field(False, description="Ask for an API key at /metrics too.")
    tls_certificate_file: Path | None = Field(
        None, description="PEM file of the certificate chain; with tls_key_file, the service speaks TLS on both ports."
    )
    tls_key_file: Path | None = Field(None, description="PEM file of the certificate's private key.")
    drain_grace_seconds: float = Field(
        0.0,
        ge=0,
        description="How long, after SIGTERM, the service reports not ready but still serves, so that a load balancer "
        "can notice. Set it above the load balancer's probe interval.",
    )
    shutdown_seconds: float = Field(
        7.0,
        gt=0,
        allow_inf_nan=False,
        description="How long, after drain_grace_seconds, the service may take to answer the requests that are left; "
        "then the process ends regardless. Requests whose body is not whole after the first two seconds are answered "
        "with 503. Whatever kills the process must wait for drain_grace_seconds, this, and two seconds more; the "
        "default fits into Docker's ten.",
    )
    otlp_endpoint: str | None = Field(
        None,
        pattern=r"^https?://[^\s/?#]+(/[^\s?#]*)?$",
        description="URL of an OTLP/HTTP receiver, such as http://collector:4318, that gets a trace span for each "
        "request (/v1/traces is added if the URL has no path). Needs the extra 'otel'. None sends no spans.",
    )
    trace_sample_ratio: float = Field(
        1.0,
        ge=0,
        le=1,
        description="Share of the requests without a `traceparent` for which a span is sent; a `traceparent` itself "
        "says whether its request is traced. Lower it when the receiver cannot take all spans.",
    )
    trusted_proxies: str = Field(
        "",
        description="Addresses or networks of the proxies in front, with commas between them (10.0.0.0/8,::1). For a "
        "request from one of them, the log shows the client that its X-Forwarded-For names.",
    )
    log_requests: bool = Field(True, description="Write one line for each request.")
    log_format: Literal["auto", "json", "text"] = Field(
        "auto",
        description="'json' is one JSON object a line, for programs; 'text' is for people; 'auto' is text if the log "
        "goes to a terminal, else JSON.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Lowest level that is logged.")

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

    @field_validator("shadow")
    @classmethod
    def _is_shadow(cls, value: str) -> str:
        read_shadow(value)
        return value

    @field_validator("canary")
    @classmethod
    def _is_canary(cls, value: str) -> str:
        read_canary(value)
        return value

    @field_validator("canary_header")
    @classmethod
    def _is_header(cls, value: str) -> str:
        return read_header(value)

    @property
    def served_repository(self) -> Path:
        """The folder in `model_repository`, or that of the reference model; not of a URL: see `process.mirroring`."""
        assert not isinstance(self.model_repository, StoreUrl)
        return self.model_repository or reference_repository()


def reference_repository() -> Path:
    """The model repository that comes with topfive: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "model_repository"
    return installed if installed.is_dir() else package.parents[1] / "model_repository"
