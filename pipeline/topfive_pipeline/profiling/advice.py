"""What to try, in order, for each bottleneck: exact settings and commands. The rules are in `profiling.verdict`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from topfive_pipeline.profiling.evidence import Evidence
from topfive_pipeline.profiling.stages import REST

STAGE_NAMES: Final[Mapping[str, str]] = {
    "decode": "decoding",
    "resize": "resizing",
    "queue": "waiting in the queue",
    "inference": "the network",
    REST: "what is in no stage (receiving, event loop, answering)",
}
_MORE: Final = "more cores, or more replicas behind a load balancer"
_SMALLER: Final = (
    'decode JPEGs smaller: `parameters { key: "jpeg_short_side" value { string_value: "512" } }` in the config.pbtxt '
    "of the model that resizes"
)
_NOT_FP32: Final = ("int8", "bf16", "fp16")

FAILURES: Final = (
    "fewer connections, if it refuses (429, 503): `--connections 4`",
    "the model's name, if it does not know it (404)",
    "the service's log, for all else",
)
QUOTA: Final = (
    "a higher quota: `--cpus` of Docker, `resources.limits.cpu` of Kubernetes, `CPUQuota=` of systemd",
    "a quota of whole cores, for topfive rounds a part of a core up and its threads are then held back",
    "no quota but dedicated cores: Kubernetes' static CPU manager, or `--cpuset-cpus`",
    "fewer cores for topfive, so that it never runs into it: `--cores N`",
)
MEMORY: Final = (
    "a higher memory limit, or less beside it on the machine; no swap for services",
    "fewer copies of the model: `--workers 1`, fewer instances in config.pbtxt, `--alone-threads 1`",
    "fewer requests held at once: `--max-in-flight-bytes`, `--max-in-flight-requests`",
)
STEAL: Final = ("a machine with dedicated cores, or another host", "measure again at another time, and compare")
NEIGHBOURS: Final = (
    "find them with `top`, and move them or this service elsewhere",
    "cores of its own for the service: `taskset`, `--cpuset-cpus`, or a CPU weight (`cpu.weight`, `CPUWeight=`)",
    "leave cores to the others: `--cores N`, and `--alone-threads 1`",
)
LOOP: Final = (
    "more worker processes: `--workers 2` (TOPFIVE_WORKERS=2), each with an event loop of its own",
    "several images in a request, and no line for each request: `--no-log-requests`",
    "look at the flame graph: what takes the loop's time?",
)
DISK: Final = (
    "memory for the file cache: a model that is mapped from a file is read again when memory is short",
    "the model repository on a local disk, and logs to where writing does not wait",
)
GENERATOR: Final = (
    "more generators, on other machines: `python -m loadtests`",
    "more images in a request, so that the generator has less to do for each",
)
UNKNOWN: Final = (
    "measure longer (`--seconds 60`), and with nothing else on the machine",
    "on Linux, as the service's user or root, so that the kernel tells of its processes",
    "look at the stages, at the threads and at the flame graph",
)


def nothing(evidence: Evidence) -> tuple[str, ...]:
    """For a window without an answer."""
    look = "look at the service's log: is the model's name right, is the service ready?"
    if evidence.load is None:
        return ("without --no-load the profile makes its own load", look)
    return (look, "`topfive check` proves the model repository", "fewer connections, if it refuses (429, 503)")


def gpu(evidence: Evidence) -> tuple[str, ...]:
    """For a GPU that computes all the time."""
    return (
        "fp16 or TensorRT: `gpu_execution_accelerator` in config.pbtxt (docs/gpu.md)",
        f"larger batches: `topfive tune {_name(evidence)}` is for CPUs, so raise max_batch_size by hand and measure",
        "a second GPU with a replica of its own",
    )


def cores(evidence: Evidence, stage: str) -> tuple[str, ...]:
    """For cores that are all busy, most of all in `stage`."""
    if stage == "inference":
        return tuple(_network(evidence))
    if stage == "decode":
        return (
            _SMALLER,
            "clients that send smaller pictures: twice the side that the network takes is enough",
            "JPEG rather than PNG or WebP: it decodes several times as fast",
            _MORE,
        )
    if stage == "resize":
        return (
            "clients that send smaller pictures, best of the size that the network takes",
            _SMALLER,
            _MORE,
        )
    return LOOP


def _network(evidence: Evidence) -> list[str]:
    name, stages = _name(evidence), evidence.stages
    precision = "" if stages is None else stages.precision.lower()
    found = []
    if precision not in _NOT_FP32:
        found.append(f"a graph in int8: `topfive optimise {name}`")
    found.append(f"other threads, batches and engines: `topfive tune {name} --objective throughput`")
    if stages is not None and stages.engine == "onnxruntime" and precision not in _NOT_FP32:
        found.append("OpenVINO in bf16, where the processor has it: `topfive tune … --bf16`")
    return [*found, _MORE, "a smaller network; `topfive evaluate` says what it costs in accuracy"]


def slots(evidence: Evidence) -> tuple[str, ...]:
    """For slots that are all taken while cores have nothing to do."""
    return (
        f"more instances or threads: `topfive tune {_name(evidence)}`, which tries them",
        "instance_group.count, or its parameter intra_op_thread_count, in config.pbtxt; and `--cores`",
        "if cores still idle, the network waits for memory: a smaller or an int8 graph",
    )


def client(evidence: Evidence, stage: str, *, one: bool) -> tuple[str, ...]:
    """For a service that could do more than it is asked for; `stage` has most of an answer's time."""
    first = "more connections at once: `--connections 8`" if one else "more connections, or a client nearer by"
    shorter = {
        "inference": f"for a shorter answer a faster network: `topfive optimise {_name(evidence)}`",
        "decode": "for a shorter answer smaller pictures, or jpeg_short_side in config.pbtxt",
        "resize": "for a shorter answer smaller pictures",
        "queue": "for a shorter answer no delay: max_queue_delay_microseconds 0",
        REST: "for a shorter answer a nearer client, smaller bodies, connections that stay open",
    }[stage]
    return (first, shorter)


def _name(evidence: Evidence) -> str:
    return evidence.model or "NAME"
