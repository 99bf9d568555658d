"""The shapes of answers, for the OpenAPI documentation; the hot path writes them itself."""

from __future__ import annotations

from pydantic import BaseModel, Field


class PredictionSchema(BaseModel):
    """One label."""

    label: str = Field(examples=["Egyptian cat"])
    index: int = Field(examples=[285], description="Index among the model's classes.")
    probability: float = Field(examples=[0.87], ge=0, le=1)


class AnswerSchema(BaseModel):
    """The labels of one image, most probable first."""

    model: str
    version: str
    predictions: list[PredictionSchema]


class ImageSchema(BaseModel):
    """The labels of one image among several."""

    predictions: list[PredictionSchema]


class ListedAnswerSchema(BaseModel):
    """The labels of each image of a request with `?count=`, in its order."""

    model: str
    version: str
    images: list[ImageSchema]


class ErrorSchema(BaseModel):
    """What is wrong and how to put it right."""

    error: str
    code: str = Field(examples=["malformed_request"])


class HealthSchema(BaseModel):
    """The state of the service."""

    live: bool | None = None
    ready: bool | None = None
    state: str
