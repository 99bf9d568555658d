"""Makes the bounds that other modules take out of the settings."""

from __future__ import annotations

from topfive.access.connections import ConnectionLimits
from topfive.config.settings import Settings
from topfive.ground.clock import Clock
from topfive.images.decoding import DecodingRules, ImageLimits
from topfive.models.loading import QueueDefaults
from topfive.request.admission import Admission
from topfive.request.preparing.preparation import PreparingLimits


def admission_of(settings: Settings, clock: Clock) -> Admission:
    """The bounds on requests in flight and on the bytes held."""
    return Admission(
        max_requests=settings.max_in_flight_requests,
        max_bytes=settings.max_in_flight_bytes,
        slowest_seconds=settings.body_seconds,
        now=clock.now,
    )


def connection_limits(settings: Settings) -> ConnectionLimits:
    """The bounds on HTTP connections."""
    return ConnectionLimits(
        max_connections=settings.max_connections,
        head_seconds=settings.head_seconds,
        body_seconds=settings.body_seconds,
        send_seconds=settings.send_seconds,
        idle_seconds=settings.keep_alive_seconds,
    )


def image_limits(settings: Settings) -> ImageLimits:
    """The bounds on the images of a request."""
    return ImageLimits(
        max_pixels=settings.max_image_pixels,
        max_dimension=settings.max_image_dimension,
        max_images=settings.max_images_per_request,
    )


def decoding_rules(settings: Settings) -> DecodingRules:
    """The rules for files that can be decoded in more than one way."""
    return DecodingRules(
        allow_damaged_images=settings.allow_damaged_images,
        convert_colour_profiles=settings.convert_colour_profiles,
    )


def preparing_limits(settings: Settings, *, cores: int) -> PreparingLimits:
    """The bounds on decoding and resizing, for a machine of so many `cores`."""
    return PreparingLimits(
        threads=settings.prepare_threads or cores,
        max_wait_seconds=settings.max_queue_wait_seconds,
        max_decode_seconds=settings.max_decode_seconds,
        max_dear=settings.max_in_flight_requests // 2,
    )


def queue_defaults(settings: Settings) -> QueueDefaults:
    """The bounds of each model's queue that its configuration does not set."""
    return QueueDefaults(
        max_items=settings.max_queue_items,
        max_bytes=settings.max_in_flight_bytes,
        max_wait_seconds=settings.max_queue_wait_seconds,
    )
