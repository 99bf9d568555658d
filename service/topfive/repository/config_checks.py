"""Checks of a whole `config.pbtxt` before its model is served: its name, kind, tensors and priorities."""

from __future__ import annotations

from typing import Any

from topfive.ground.errors import ConfigurationError


def check_config(config: Any, name: str, where: str) -> None:
    """Raise `ConfigurationError` unless `config`, an `inference.ModelConfig`, can be served from the folder `name`."""
    if config.name and config.name != name:
        raise ConfigurationError(
            f"{where}: the name is '{config.name}', but its folder is '{name}'; make them the same"
        )
    is_ensemble = config.HasField("ensemble_scheduling")
    kind = config.backend or config.platform
    wanted = ("ensemble",) if is_ensemble else ("onnxruntime", "onnxruntime_onnx")
    if kind not in wanted:
        raise ConfigurationError(f"{where}: backend '{kind}' cannot be run embedded; it must be {' or '.join(wanted)}")
    if config.max_batch_size < 1:
        raise ConfigurationError(
            f"{where}: max_batch_size is {config.max_batch_size}; export the graph with a batch dimension and say how "
            "many images it may hold"
        )
    if not config.input or not config.output:
        raise ConfigurationError(f"{where}: input and output must be declared; they are not read from the graph")
    if is_ensemble:
        _check_ensemble(config, where)
    if any(group.count < 0 for group in config.instance_group):
        raise ConfigurationError(f"{where}: instance_group.count is below 0; it must be at least 1")
    _check_priorities(config, where)


def _check_ensemble(config: Any, where: str) -> None:
    for name in ("instance_group", "parameters", "model_warmup", "default_model_filename"):
        if getattr(config, name):
            raise ConfigurationError(f"{where}: an ensemble has no {name}; set it in the models of its steps")


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
