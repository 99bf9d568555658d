"""Makes the trials of a process out of the settings.

What lives here: how the parts of a trial are put together. What does not: what they do (`rollout`).
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Protocol

from topfive.config.environment import shared_metrics_folder
from topfive.config.settings import Settings
from topfive.ground.clock import Clock
from topfive.ground.errors import ConfigurationError
from topfive.ground.trial_rules import ShadowRule, read_canary, read_shadow
from topfive.models.served import Models
from topfive.observe.metrics import Metrics
from topfive.request.admission import Admission
from topfive.request.classifier import Classifier
from topfive.rollout.canary import Canary
from topfive.rollout.copies import Copies
from topfive.rollout.idle import Idle
from topfive.rollout.local import LocalTarget
from topfive.rollout.remote import RemoteTarget
from topfive.rollout.shadow import Shadow
from topfive.rollout.switch import Switch
from topfive.rollout.targets import Target
from topfive.rollout.trials import Trials


class Host(Protocol):
    """The service, as far as trials need it."""

    settings: Settings
    clock: Clock
    metrics: Metrics
    admission: Admission
    cores: int

    @property
    def models(self) -> Models: ...

    @property
    def classifier(self) -> Classifier: ...


def make_trials(host: Host) -> Trials:
    """What the settings of `host` put on trial; raises `ConfigurationError` if a key's file cannot be read."""
    return Trials(
        host.clock,
        models=lambda: host.models,
        classifier=lambda: host.classifier,
        canary=_canary(host),
        shadow=_shadow(host),
        canary_header=host.settings.canary_header,
    )


def _canary(host: Host) -> Canary | None:
    rule = read_canary(host.settings.canary)
    if rule is None:
        return None
    folder = shared_metrics_folder()
    return Canary(
        rule,
        switch=Switch(None if folder is None else Path(folder)),
        metrics=host.metrics.trials.canary(rule.model, rule.version),
        most_slowdown=host.settings.canary_max_slowdown,
    )


def _shadow(host: Host) -> Shadow | None:
    settings = host.settings
    rule = read_shadow(settings.shadow)
    if rule is None:
        return None
    return Shadow(
        rule,
        _target(host, rule),
        idle=Idle(host.cores, in_flight=lambda: host.admission.requests, busy_share=settings.shadow_busy_share),
        copies=Copies(max_images=settings.shadow_max_images, max_bytes=settings.shadow_max_bytes),
        metrics=host.metrics.trials.shadow(rule.model, rule.target),
        clock=host.clock,
        draw=random.random,
    )


def _target(host: Host, rule: ShadowRule) -> Target:
    settings = host.settings
    if rule.url:
        return RemoteTarget(rule.url, key=_key(settings), timeout_seconds=settings.shadow_timeout_seconds)
    return LocalTarget(rule, models=lambda: host.models, payloads=lambda: host.classifier.payloads)


def _key(settings: Settings) -> str:
    path = settings.shadow_key_file
    if path is None:
        return ""
    try:
        key = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"shadow_key_file '{path}' cannot be read: {error}") from error
    if not key or not key.isprintable() or " " in key:
        raise ConfigurationError(f"shadow_key_file '{path}' must hold one key, on one line")
    return key
