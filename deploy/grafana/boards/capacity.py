"""The rows of the service's dashboard about capacity, cost, and models."""

from collections.abc import Sequence
from typing import Final

from deploy.grafana.boards import panels as p
from deploy.grafana.boards.layout import PanelRow, Row
from deploy.grafana.boards.panels import Panel, Query, heatmap, lines, table
from deploy.grafana.boards.queries import MODEL, PROCESS, RATE, WHERE, mean, per_second

_OURS: Final = '"queue_full|deadline_exceeded|not_ready|client_disconnected"'
_LIMITS: Final = '"rate_limited|quota_exceeded"'
_MISTAKES: Final = '"malformed_request|too_large|undecodable_image|unauthenticated|unknown_model|unsupported.*"'
_SERVED: Final = {
    "service": 110,
    "instance": 130,
    "model": 190,
    "version": 70,
    "backend": 90,
    "slots": 50,
    "limit": 50,
}
_MEMORY: Final = f"sum by (service, instance) (process_resident_memory_bytes{{{PROCESS}}})"
_CORES: Final = per_second(f"process_cpu_seconds_total{{{PROCESS}}}", by="service, instance")
_BOUNDED: Final[Sequence[str]] = ("queue_items", "in_flight", "in_flight_bytes", "grpc_places", "connections")


def full() -> Row:
    """The row on batches, and on how much of each bound is used."""
    batches = [
        heatmap(
            "Batch sizes",
            "Batches per second by the images in them. On a CPU small ones are right: a batch is formed when a slot is "
            "free for it, and no larger than what pays (the limit in the table below).",
            per_second(f"topfive_batch_size_bucket{{{WHERE}}}", by="le"),
            unit="none",
            decimals=0,
        ),
        lines(
            "Mean batch size",
            "Images in a batch on average, of each model that runs batches.",
            Query(mean("topfive_batch_size", WHERE, by="service, model"), "{{service}} {{model}}"),
            unit="none",
        ),
        lines(
            "Saturation",
            "How much of each bound is used, by the model or instance that uses most of it. Slots that are all busy "
            "are the model's capacity; beyond the limit of cores all is slower; beyond that of memory the kernel ends "
            "the process; what would go beyond any other bound is refused.",
            Query(f"max(avg_over_time(topfive_slots_busy{{{WHERE}}}{RATE}) / (topfive_slots{{{WHERE}}} > 0))", "slots"),
            *(Query(_used(what), what.replace("_", " ")) for what in _BOUNDED),
            Query(f"max({_MEMORY} / on (service, instance) ({_limit('memory', '_bytes')} > 0))", "memory"),
            Query(f"max({_CORES} / on (service, instance) ({_limit('cores')} > 0))", "cores"),
            unit="percentunit",
            most=1,
            steps=((p.GREEN, None), (p.RED, 0.9)),
            values=False,
        ),
    ]
    waiting = [
        lines(
            "Images that wait",
            "Images decoded or received, that wait for a batch.",
            Query(
                f"sum by (service, model) (topfive_queue_items{{{WHERE}}} and topfive_slots > 0)",
                "{{service}} {{model}}",
            ),
            unit="none",
        ),
        lines(
            "In flight",
            "Requests whose body is here and whose answer is not, and open connections.",
            Query(f"sum(topfive_in_flight{{{WHERE}}})", "requests"),
            Query(f"sum(topfive_connections{{{WHERE}}})", "connections"),
            unit="none",
        ),
        lines(
            "Refused, by reason",
            "Requests refused per second. queue_full: too much at once (429); deadline_exceeded: too late (504); "
            "not_ready: 503; client_disconnected: nobody was left to answer; limits: tenants beyond theirs (429); "
            "mistakes: all that clients did wrong.",
            Query(per_second(f"topfive_rejected_total{{{WHERE}, reason=~{_OURS}}}", by="reason"), "{{reason}}"),
            Query(per_second(f"topfive_rejected_total{{{WHERE}, reason=~{_LIMITS}}}"), "limits"),
            Query(per_second(f"topfive_rejected_total{{{WHERE}, reason=~{_MISTAKES}}}"), "mistakes"),
            unit="reqps",
            stacked=True,
            values=False,
        ),
    ]
    held = [
        lines(
            "In-flight bytes",
            "Body bytes that the service holds, of requests in flight and of those that still come. What does not fit "
            "below the limit (max_in_flight_bytes, of all worker processes) is refused with 429.",
            Query(f"sum by (service, instance) (topfive_in_flight_bytes{{{WHERE}}})", "{{service}} {{instance}}"),
            _bound(f"topfive_in_flight_bytes_limit{{{WHERE}}}"),
            unit="bytes",
            overrides=p.limits(),
        ),
        lines(
            "gRPC places",
            "Inference requests that gRPC holds, those whose message is still on its way included. What does not find "
            "a place below the limit (grpc_max_requests, of all worker processes) is refused with RESOURCE_EXHAUSTED.",
            Query(f"sum by (service, instance) (topfive_grpc_places{{{WHERE}}})", "{{service}} {{instance}}"),
            _bound(f"topfive_grpc_places_limit{{{WHERE}}}"),
            unit="none",
            overrides=p.limits(),
        ),
    ]
    return Row("How full?", [PanelRow(batches), PanelRow(waiting), PanelRow(held)])


def _limit(what: str, unit: str = "") -> str:
    """What the operating system allows each instance."""
    return f"topfive_{what}_limit{unit}{{{WHERE}}}"


def _bound(limit: str) -> Query:
    """The limit of the instances of each service."""
    return Query(f"max by (service) ({limit} > 0)", "{{service}} limit")


def _used(what: str) -> str:
    """The used share of a bound, of the process or model that uses most of it."""
    return f"max(topfive_{what}{{{WHERE}}} / (topfive_{what}_limit{{{WHERE}}} > 0))"


def cost() -> Row:
    """The row on CPU and memory, beside the throughput."""
    cpu, images = f"process_cpu_seconds_total{{{PROCESS}}}", f"topfive_images_total{{{WHERE}}}"
    panels = [
        _by_instance(
            "Cores used",
            "Processor seconds per second, all worker processes; the limit is the affinity or the quota of "
            "one instance. What Triton uses is on its own dashboard.",
            per_second(cpu, by="service, instance"),
            unit="none",
            limit=_limit("cores"),
        ),
        _by_instance(
            "Memory",
            "Resident memory, all worker processes. It should be level: sessions, and what is bounded by settings. The "
            "limit is that of the control group, or the machine's memory.",
            _MEMORY,
            unit="bytes",
            limit=_limit("memory", "_bytes"),
        ),
        _by_instance(
            "Images per second",
            "Images answered per second.",
            per_second(images, by="service, instance"),
            unit="ops",
        ),
        _by_instance(
            "Images per CPU-second",
            "Images answered for each second of processor time: what a core is worth. It falls when the service is "
            "idle, and when images are large and must be decoded.",
            f"{per_second(images, by='service, instance')} / {per_second(cpu, by='service, instance')}",
            unit="none",
        ),
    ]
    return Row("What does it cost?", [PanelRow(panels)])


def _by_instance(title: str, description: str, expression: str, *, unit: str, limit: str = "") -> Panel:
    of_each = Query(expression, "{{service}} {{instance}}")
    if not limit:
        return lines(title, description, of_each, unit=unit, values=False)
    return lines(title, description, of_each, _bound(limit), unit=unit, overrides=p.limits(), values=False)


def models() -> Row:
    """The row on the models that are served."""
    served = table(
        "Models served",
        "Each version of each model that runs batches, where, on what; `limit` is the largest batch that pays.",
        f"topfive_model_info{{{WHERE}}} == 1",
        columns=_SERVED,
        empty="no model is loaded",
    )
    by_model = lines(
        "Images per second by model",
        "Images answered per second, by the model that clients named.",
        Query(per_second(f"topfive_images_total{{{MODEL}}}", by="service, model"), "{{service}} {{model}}"),
        unit="ops",
        values=False,
    )
    return Row("Which model?", [PanelRow([served, by_model])])
