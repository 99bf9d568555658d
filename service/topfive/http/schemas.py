"""The shapes of requests and answers, for the OpenAPI documentation; inference routes write their JSON themselves."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field


class PredictionSchema(BaseModel):
    """One label."""

    label: str = Field(examples=["Egyptian cat"])
    index: int = Field(examples=[285], description="Index among the model's classes.")
    probability: float = Field(examples=[0.87], ge=0, le=1)


class AnswerSchema(BaseModel):
    """The labels of one image, most probable first: as many as the model gives, perhaps none."""

    model: str
    version: str
    predictions: list[PredictionSchema]


class ImageSchema(BaseModel):
    """The labels of one image among several."""

    predictions: list[PredictionSchema]


class ListedAnswerSchema(BaseModel):
    """The labels of each image of a request with several images, in the request's order."""

    model: str
    version: str
    images: list[ImageSchema]


class InstanceSchema(BaseModel):
    """The labels of one image, as TF Serving writes the outputs of a model."""

    classes: list[str]
    probabilities: list[float]
    indices: list[int]


class InstancesAnswerSchema(BaseModel):
    """The labels of each image of a request with `instances`, in this service's shape and in TF Serving's."""

    model: str
    version: str
    images: list[ImageSchema]
    predictions: list[InstanceSchema]


class ErrorSchema(BaseModel):
    """What is wrong and how to put it right."""

    error: str
    code: str = Field(examples=["malformed_request"])


class HealthSchema(BaseModel):
    """The state of the service."""

    live: bool | None = None
    ready: bool | None = None
    state: str


class ServerMetadataSchema(BaseModel):
    """The server, and the extensions of the protocol that it offers."""

    name: str
    version: str
    extensions: list[str]


class TensorSchema(BaseModel):
    """A tensor of a model; -1 stands for any size, and the batch dimension is the first."""

    name: str
    datatype: str = Field(examples=["UINT8"])
    shape: list[int]


class ModelMetadataSchema(BaseModel):
    """A model's tensors and versions."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorSchema]
    outputs: list[TensorSchema]


class ModelReadySchema(BaseModel):
    """A model that is ready."""

    name: str
    ready: bool


class DurationSchema(BaseModel):
    """How often something was done, and how many nanoseconds it took in all."""

    count: int
    ns: int


class BatchStatisticsSchema(BaseModel):
    """The batches that ran with one size."""

    batch_size: int
    compute_input: DurationSchema
    compute_infer: DurationSchema
    compute_output: DurationSchema


class ModelStatisticsSchema(BaseModel):
    """One version of one model, since it was loaded."""

    name: str
    version: str
    last_inference: int = Field(description="Milliseconds since 1970; 0 for never.")
    inference_count: int = Field(description="Images.")
    execution_count: int = Field(description="Batches.")
    inference_stats: dict[str, DurationSchema]
    response_stats: dict[str, object]
    batch_stats: list[BatchStatisticsSchema]
    memory_usage: list[object]


class StatisticsSchema(BaseModel):
    """Statistics of models."""

    model_stats: list[ModelStatisticsSchema]


class IndexEntrySchema(BaseModel):
    """One version of a model in the repository."""

    name: str
    version: str
    state: str = Field(examples=["READY", "UNAVAILABLE"])
    reason: str


class DisagreementSchema(BaseModel):
    """An image of which the shadow says something else than the live version."""

    request_id: str
    image: int = Field(description="Which of the request's images; 0 is the first.")
    seconds_ago: float
    live: list[dict[str, object]] = Field(examples=[[{"label": "espresso", "probability": 0.91}]])
    shadow: list[dict[str, object]]


class ShadowSchema(BaseModel):
    """The shadow of this process."""

    model: str
    target: str = Field(examples=["efficientnet_lite0:2"])
    share: float
    state: str = Field(examples=["answers", "does not answer"])
    reason: str | None = Field(description="Why the last copy was not answered; null if it was.")
    waiting_images: int
    waiting_bytes: int
    disagreements: list[DisagreementSchema]


class ArmSchema(BaseModel):
    """What this process has counted lately of one arm."""

    requests: int
    faults: int = Field(description="Requests that came to 500, 503 or 504.")
    mean_seconds: float | None


class CanarySchema(BaseModel):
    """The canary."""

    model: str
    version: str
    share: float
    state: str = Field(examples=["on", "off", "absent"])
    reason: str | None = Field(description="Why it is off.")
    arms: dict[str, ArmSchema]


class RolloutSchema(BaseModel):
    """What is on trial; null where nothing is."""

    shadow: ShadowSchema | None
    canary: CanarySchema | None


Parameters = dict[str, str | int | float | bool]


class InputSchema(BaseModel):
    """A tensor of a request: `data` has its numbers, flat or nested, or the parameter `binary_data_size` its size."""

    name: str = Field(examples=["image"])
    datatype: str = Field(examples=["UINT8"])
    shape: list[Annotated[int, Field(ge=0)]] = Field(examples=[[1, 1, 2, 3]])
    parameters: Parameters | None = None
    data: list[object] | None = Field(None, examples=[[90, 90, 90, 160, 160, 160]])


class RequestedOutputSchema(BaseModel):
    """An output that the answer must have; the parameter `binary_data` says whether to send it as bytes."""

    name: str = Field(examples=["classes"])
    parameters: Parameters | None = None


class InferRequestSchema(BaseModel):
    """An inference request as JSON; see the Open Inference Protocol."""

    id: str | None = None
    parameters: Parameters | None = Field(None, examples=[{"timeout": 500_000}])
    inputs: list[InputSchema]
    outputs: list[RequestedOutputSchema] | None = None


class OutputSchema(BaseModel):
    """A tensor of an answer: `data` has its values, or the parameter `binary_data_size` its size."""

    name: str
    datatype: str = Field(examples=["FP32"])
    shape: list[int]
    parameters: Parameters | None = None
    data: list[str | int | float | None] | None = None


class InferResponseSchema(BaseModel):
    """An inference response as JSON."""

    model_name: str
    model_version: str
    id: str | None = None
    outputs: list[OutputSchema]
