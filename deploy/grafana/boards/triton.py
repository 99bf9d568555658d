"""The dashboard of the Triton behind the service, by Triton's own metrics.

Its durations are counters in microseconds. Each request in a batch counts the whole time of the batch.
"""

from typing import Final

from deploy.grafana.boards import panels as p
from deploy.grafana.boards.layout import LOAD_TEST, Board, PanelRow, Row, Variable
from deploy.grafana.boards.panels import Json, Query, lines, stat

UID: Final = "topfive-triton"
RATE: Final = "[$__rate_interval]"
WHERE: Final = 'job="triton", instance=~"$instance"'
MODEL: Final = f'{WHERE}, model=~"$model"'
LEGEND: Final = "{{model}} {{version}}"
SECONDS: Final = 1e-6
PARTS: Final = {"queue": "orange", "compute_input": "blue", "compute_infer": "green", "compute_output": "purple"}


def board() -> Json:
    """The dashboard in Grafana's JSON."""
    return Board(
        uid=UID,
        title="topfive: Triton",
        description="The Triton that runs the batches, by its own metrics. It is empty where no Triton runs.",
        rows=[_healthy(), _time(), _batches(), _cost()],
        variables=[
            Variable("instance", "instance", 'up{job="triton"}'),
            Variable("model", "model", 'nv_inference_count{job="triton", instance=~"$instance"}'),
        ],
        markers=[LOAD_TEST],
    ).json()


def rate(metric: str) -> str:
    """Per second, by model and version."""
    return f"sum by (model, version) (rate({metric}{{{MODEL}}}{RATE}))"


def _per_request(part: str) -> str:
    return f"{SECONDS} * {rate(f'nv_inference_{part}_duration_us')} / ({rate('nv_inference_request_success')} > 0)"


def _all_models(metric: str) -> str:
    return f"sum(rate({metric}{{{MODEL}}}{RATE}))"


def _healthy() -> Row:
    up = stat(
        "Up",
        "Tritons that answer Prometheus.",
        Query(f"sum(up{{{WHERE}}})", now=True),
        unit="none",
        steps=((p.RED, None), (p.GREEN, 1)),
        empty="no Triton",
        zero="down",
    )
    failures = stat(
        "Failures",
        "Requests per second that failed in Triton, but for those that the service took back.",
        Query(f'sum(rate(nv_inference_request_failure{{{MODEL}, reason!="CANCELED"}}{RATE}))'),
        unit="reqps",
        steps=((p.GREEN, None), (p.RED, 0.001)),
        empty="no requests",
    )
    pending = stat(
        "Waiting",
        "Requests that wait in Triton's own queues. The service keeps no more on the way than Triton has instances "
        "for, so this stays low unless others ask it too.",
        Query(f"sum(nv_inference_pending_request_count{{{MODEL}}})"),
        unit="none",
        steps=p.NEUTRAL,
        empty="no model",
    )
    traffic = lines(
        "Requests",
        "Requests per second by model. Of an ensemble its steps count too. The service makes one of each batch.",
        Query(rate("nv_inference_request_success"), LEGEND),
        unit="reqps",
    )
    failed = lines(
        "Failed requests",
        "Per second, by Triton's reason: REJECTED, its queue was full; CANCELED, the service took it back; BACKEND, "
        "the model failed.",
        Query(f"sum by (reason) (rate(nv_inference_request_failure{{{MODEL}}}{RATE}))", "{{reason}}"),
        unit="reqps",
    )
    return Row("Is it healthy?", [PanelRow([up, failures, pending], height=4), PanelRow([traffic, failed])])


def _time() -> Row:
    stacked = lines(
        "Mean time of a request, by part",
        "Where a request's time goes in Triton, over all models chosen: waiting for a batch, reading its input, "
        "running the model, writing its output. What the service's 'inference' is beyond this is the way and back.",
        *(
            Query(
                f"{SECONDS} * {_all_models(f'nv_inference_{part}_duration_us')}"
                f" / ({_all_models('nv_inference_request_success')} > 0)",
                part.replace("compute_", ""),
            )
            for part in PARTS
        ),
        unit="s",
        stacked=True,
        overrides=p.coloured({part.replace("compute_", ""): colour for part, colour in PARTS.items()}),
    )
    queue = lines(
        "Mean wait by model", "In Triton's queue, of each model.", Query(_per_request("queue"), LEGEND), unit="s"
    )
    infer = lines(
        "Mean run by model",
        "Of the model itself. It is that of the whole batch that a request was in.",
        Query(_per_request("compute_infer"), LEGEND),
        unit="s",
    )
    return Row("Where is the time?", [PanelRow([stacked, queue, infer])])


def _batches() -> Row:
    size = lines(
        "Mean batch size",
        "Images in one run of a model, after Triton has merged requests. Above the service's own mean batch size, it "
        "merges those of several front ends.",
        Query(f"{rate('nv_inference_count')} / ({rate('nv_inference_exec_count')} > 0)", LEGEND),
        unit="none",
    )
    images = lines("Images per second", "By model.", Query(rate("nv_inference_count"), LEGEND), unit="ops")
    return Row("How full?", [PanelRow([size, images])])


def _cost() -> Row:
    return Row(
        "What does it cost?",
        [
            PanelRow(
                [
                    lines(
                        "CPU of Triton's machine",
                        "As Triton reports it: of the whole machine, not of Triton alone.",
                        Query(f"nv_cpu_utilization{{{WHERE}}}", "{{instance}}"),
                        unit="percentunit",
                        most=1,
                    ),
                    lines(
                        "Memory of Triton's machine",
                        "Used, of the whole machine.",
                        Query(f"nv_cpu_memory_used_bytes{{{WHERE}}}", "{{instance}}"),
                        unit="bytes",
                    ),
                    lines(
                        "GPU",
                        "How much of the time the GPU computes. Empty without one.",
                        Query(f"nv_gpu_utilization{{{WHERE}}}", "{{gpu_uuid}}"),
                        unit="percentunit",
                        most=1,
                    ),
                    lines(
                        "GPU memory",
                        "Memory in use on the GPU. Empty without one.",
                        Query(f"nv_gpu_memory_used_bytes{{{WHERE}}}", "{{gpu_uuid}}"),
                        unit="bytes",
                    ),
                ]
            )
        ],
    )
