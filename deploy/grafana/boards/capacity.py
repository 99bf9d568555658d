"""The rows of the service's dashboard about capacity, cost, and models."""

from collections.abc import Sequence
from typing import Final

from deploy.grafana.boards import panels as p
from deploy.grafana.boards.layout import PanelRow, Row
from deploy.grafana.boards.panels import Panel, Query, heatmap, lines, table
from deploy.grafana.boards.queries import MODEL, PROCESS, RATE, WHERE, mean, per_second

_OURS: Final = '"queue_full|deadline_exceeded|not_ready|client_disconnected"'
_MISTAKES: Final = '"malformed_request|too_large|undecodable_image|unauthenticated|unknown_model|unsupported.*"'
_BOUNDED: Final[Sequence[str]] = ("queue_items", "in_flight", "connections")


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
            "are the model's capacity; what would go beyond a bound of the queue, of requests in flight or of "
            "connections is refused.",
            Query(f"max(avg_over_time(topfive_slots_busy{{{WHERE}}}{RATE}) / (topfive_slots{{{WHERE}}} > 0))", "slots"),
            *(Query(_used(what), what.replace("_", " ")) for what in _BOUNDED),
            unit="percentunit",
            most=1,
            steps=((p.GREEN, None), (p.RED, 0.9)),
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
            "not_ready: 503; client_disconnected: nobody was left to answer; mistakes: all that clients did wrong.",
            Query(per_second(f"topfive_rejected_total{{{WHERE}, reason=~{_OURS}}}", by="reason"), "{{reason}}"),
            Query(per_second(f"topfive_rejected_total{{{WHERE}, reason=~{_MISTAKES}}}"), "mistakes"),
            unit="reqps",
            stacked=True,
        ),
    ]
    return Row("How full?", [PanelRow(batches), PanelRow(waiting)])


def _used(what: str) -> str:
    """The used share of a bound, of the process or model that uses most of it."""
    return f"max(topfive_{what}{{{WHERE}}} / (topfive_{what}_limit{{{WHERE}}} > 0))"


def cost() -> Row:
    """The row on CPU and memory, beside the throughput."""
    cpu, images = f"process_cpu_seconds_total{{{PROCESS}}}", f"topfive_images_total{{{WHERE}}}"
    panels = [
        _by_instance(
            "Cores used",
            "Processor seconds per second, all worker processes. What Triton uses is on its own dashboard.",
            per_second(cpu, by="service, instance"),
            unit="none",
        ),
        _by_instance(
            "Memory",
            "Resident memory, all worker processes. It should be level: sessions, and what is bounded by settings.",
            f"sum by (service, instance) (process_resident_memory_bytes{{{PROCESS}}})",
            unit="bytes",
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


def _by_instance(title: str, description: str, expression: str, *, unit: str) -> Panel:
    return lines(title, description, Query(expression, "{{service}} {{instance}}"), unit=unit)


def models() -> Row:
    """The row on the models that are served."""
    served = table(
        "Models served",
        "Each version of each model that runs batches, where, on what; `limit` is the largest batch that pays.",
        f"topfive_model_info{{{WHERE}}} == 1",
        columns=("service", "instance", "model", "version", "backend", "slots", "limit"),
        empty="no model is loaded",
    )
    by_model = lines(
        "Images per second by model",
        "Images answered per second, by the model that clients named.",
        Query(per_second(f"topfive_images_total{{{MODEL}}}", by="service, model"), "{{service}} {{model}}"),
        unit="ops",
    )
    return Row("Which model?", [PanelRow([served, by_model])])
