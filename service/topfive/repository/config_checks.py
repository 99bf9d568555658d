"""Checks of a whole `config.pbtxt` before its model is served: its name, kind, tensors and priorities."""

from __future__ import annotations

from typing import Any

from topfive.ground.errors import ConfigurationError
from topfive.ground.next_steps import import_advice


def check_config(config: Any, name: str, where: str) -> None:
    """Raise `ConfigurationError` unless `config`, an `inference.ModelConfig`, can be served from the folder `name`."""
    if config.name and config.name != name:
        raise ConfigurationError(
            f"{where}: the name is '{config.name}', but its folder is '{name}'; make them the same"
        )
    is_ensemble = config.HasField("ensemble_scheduling")
    _check_backend(config.backend or config.platform, where, is_ensemble=is_ensemble)
    if config.max_batch_size < 1:
        raise ConfigurationError(
            f"{where}: max_batch_size is {config.max_batch_size}; export the graph with a batch dimension and say how "
            f"many images it may hold; or, {import_advice()}"
        )
    if not config.input or not config.output:
        raise ConfigurationError(
            f"{where}: input and output must be declared, for they are not read from the graph; write them as "
            f"docs/settings.md says; or, {import_advice()}"
        )
    if is_ensemble:
        _check_ensemble(config, where)
    if any(group.count < 0 for group in config.instance_group):
        raise ConfigurationError(f"{where}: instance_group.count is below 0; it must be at least 1")
    _check_priorities(config, where)


def _check_backend(kind: str, where: str, *, is_ensemble: bool) -> None:
    wanted = ("ensemble",) if is_ensemble else ("onnxruntime", "onnxruntime_onnx")
    if kind in wanted:
        return
    said = f"backend '{kind}' cannot be run embedded" if kind else "it names no backend"
    advice = "write platform" if is_ensemble else "export the model to ONNX, and write backend"
    raise ConfigurationError(f'{where}: {said}; it must be {" or ".join(wanted)}: {advice}: "{wanted[0]}"')


def _check_ensemble(config: Any, where: str) -> None:
    for name in ("instance_group", "parameters", "model_warmup", "default_model_filename"):
        if getattr(config, name):
            raise ConfigurationError(f"{where}: an ensemble has no {name}; set it in the models of its steps")
    if config.HasField("optimization"):
        raise ConfigurationError(f"{where}: an ensemble has no optimization; set it in the models of its steps")


def _check_priorities(config: Any, where: str) -> None:
    levels, default = config.dynamic_batching.priority_levels, config.dynamic_batching.default_priority_level
    if levels and not 1 <= default <= levels:
        raise ConfigurationError(
            f"{where}: dynamic_batching.default_priority_level is {default}; with priority_levels it must be from 1 to "
            f"{levels}"
        )
    if default and not levels:
        raise ConfigurationError(
            f"{where}: dynamic_batching.default_priority_level means nothing without priority_levels; set those too, "
            "or remove it"
        )
