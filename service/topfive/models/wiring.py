"""Checks which stored models can be served together: what a classifier is, and whether an ensemble's steps fit.

What lives here: checks of configurations, before any model is loaded. What does not: graphs (`models.loading`), the
file system (`repository`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from topfive.ground.errors import ConfigurationError
from topfive.ground.next_steps import import_advice, import_command
from topfive.repository.model_config import EnsembleStep
from topfive.repository.reading import StoredModel

OUTPUTS: Final = {"classes": "BYTES", "probabilities": "FP32", "indices": "INT64"}
"""The outputs that a classifier must have, each of shape [N, k]: labels, their probabilities and indices, best first.

Further outputs (an embedding, say) are in answers over the Open Inference Protocol only.
"""
_CHANNELS: Final = 3

Stored = Mapping[str, StoredModel]
Changes = Mapping[str, StoredModel | None]
"""Models to add or to replace, by name; None removes a model."""


def apply(stored: Stored, changes: Changes) -> dict[str, StoredModel]:
    """Return `stored` with `changes` made; raises `ConfigurationError` if the result cannot be served.

    A model that can only be a step is removed together with the last ensemble that has it as a step.
    """
    wanted = {name: model for name, model in {**stored, **changes}.items() if model is not None}
    for model in wanted.values():
        if model.config.steps:
            _check_wiring(model, wanted)
        elif classifies(model):
            _check_image_input(model)
        _check_jpeg_short_side(model)
    for name in _unused(wanted):
        if name in changes:
            raise ConfigurationError(_why_unused(wanted[name]))
        del wanted[name]
    return wanted


def related(stored: Stored, found: Stored, names: Iterable[str]) -> list[set[str]]:
    """`names` in groups that must change together: those that an ensemble of `stored` or of `found` joins.

    A new classifier may need the new preparing model that came with it; a new one with an old one would give wrong
    answers.
    """
    groups = [{name} for name in names]
    for model in (*stored.values(), *found.values()):
        members = {model.config.name, *(step.model for step in model.config.steps)}
        joined = [group for group in groups if group & members]
        groups = [group for group in groups if not group & members]
        if joined:
            groups.append(set().union(*joined))
    return groups


def classifies(model: StoredModel) -> bool:
    """Whether `model` is a classifier, which runs in batches, rather than a model that prepares images for one."""
    return OUTPUTS.items() <= {output.name: output.datatype for output in model.config.outputs}.items()


def version_of_step(step: EnsembleStep, versions: Sequence[int], ensemble: StoredModel) -> int:
    """The version that `step` means, of the served `versions` of its model; raises `ConfigurationError` if none."""
    version = max(versions) if step.version == -1 else step.version
    if version not in versions:
        raise ConfigurationError(
            f"{ensemble.folder}: a step names version {step.version} of '{step.model}', which its version_policy "
            "leaves out"
        )
    return version


def served_versions(model: StoredModel, stored: Stored) -> tuple[int, ...]:
    """The versions in which clients find `model`: its own, or for an ensemble those of its classifier.

    A step that names a version leaves only that one.
    """
    if not model.config.steps:
        return model.versions
    step = model.config.steps[-1]
    versions = stored[step.model].versions
    return versions if step.version == -1 else (version_of_step(step, versions, model),)


def _unused(stored: Stored) -> list[str]:
    used = {step.model for model in stored.values() for step in model.config.steps}
    return [
        name for name, model in stored.items() if not model.config.steps and not classifies(model) and name not in used
    ]


def _why_unused(model: StoredModel) -> str:
    outputs = ", ".join(f"'{output}' ({datatype})" for output, datatype in OUTPUTS.items())
    takes_images = [(tensor.datatype, len(tensor.shape)) for tensor in model.config.inputs] == [("UINT8", 4)]
    if takes_images and model.config.outputs[0].datatype == "UINT8":
        advice = "name it as the first step of an ensemble, or remove it"
    else:
        advice = import_advice(_some_graph(model))
    what = f"neither a classifier nor a step of an ensemble; a classifier has the outputs {outputs}"
    return f"{model.folder}: {what}; {advice}"


def _check_image_input(model: StoredModel) -> None:
    inputs = model.config.inputs
    if (
        len(inputs) != 1
        or inputs[0].datatype != "UINT8"
        or len(inputs[0].shape) != 4
        or inputs[0].shape[3] != _CHANNELS
    ):
        advice = (
            f"{import_command()} writes all of an ensemble" if model.config.steps else import_advice(_some_graph(model))
        )
        raise ConfigurationError(
            f"model '{model.config.name}': its config.pbtxt must declare one input, TYPE_UINT8 with dims [height, "
            f"width, 3]; {advice}"
        )


def _check_jpeg_short_side(model: StoredModel) -> None:
    """Check that only a model that prepares images has it, and that no JPEG is decoded smaller than what that makes."""
    least = model.config.jpeg_short_side
    if not least:
        return
    if classifies(model):
        raise ConfigurationError(
            f"{model.folder}: parameters jpeg_short_side is for the model that resizes images; move it to that "
            "model's config.pbtxt"
        )
    made = max(model.config.outputs[0].shape[1:3])
    if least < made:
        raise ConfigurationError(
            f"{model.folder}: parameters jpeg_short_side is {least}, and the graph makes {made} pixels of an "
            f"image: JPEGs would be enlarged; give twice the short side that it resizes to, or {made} at least"
        )


def _some_graph(model: StoredModel) -> Path:
    return model.graph_path(max(model.versions))


def _check_wiring(model: StoredModel, stored: Stored) -> None:
    """Check for two fitting steps, a per-image graph and a classifier; the embedded backend runs no other ensemble."""
    config = model.config
    _check_image_input(model)
    absent = [step.model for step in config.steps if step.model not in stored]
    if absent:
        raise ConfigurationError(f"{model.folder}: its step '{absent[0]}' is not there; add it, or remove the ensemble")
    steps = [stored[step.model] for step in config.steps]
    if len(steps) != 2 or any(step.config.steps for step in steps) or list(map(classifies, steps)) != [False, True]:
        raise ConfigurationError(
            f"{model.folder}: the embedded backend runs ensembles of two steps, a model from image to UINT8 image and "
            "then a classifier; serve others on Triton"
        )
    first, second = config.steps
    image = config.inputs[0].name
    crop = next(iter(first.outputs.values()), None)
    prepared, wanted = steps[0].config.outputs[0], steps[1].config.inputs[0]
    wired = (
        first.inputs == {steps[0].config.inputs[0].name: image}
        and first.outputs == {prepared.name: crop}
        and second.inputs == {wanted.name: crop}
        and all(second.outputs.get(name) == name for name in OUTPUTS)
    )
    if not wired:
        raise ConfigurationError(
            f"{model.folder}: the steps' maps must lead '{image}' through '{first.model}' into '{second.model}', and "
            f"{', '.join(OUTPUTS)} out of it under their own names"
        )
    _check_outputs(model, second, steps[1])
    if (prepared.datatype, prepared.shape) != (wanted.datatype, wanted.shape):
        raise ConfigurationError(
            f"{model.folder}: '{first.model}' puts out {prepared.datatype} {list(prepared.shape)}, but "
            f"'{second.model}' takes {wanted.datatype} {list(wanted.shape)}; build the two for one size"
        )
    for step, stepped in zip(config.steps, steps, strict=True):
        version_of_step(step, stepped.versions, model)


def _check_outputs(model: StoredModel, step: EnsembleStep, classifier: StoredModel) -> None:
    """Check that the ensemble's outputs are outputs of its classifier, under the same names; some may be left out."""
    theirs = {output.name: output for output in classifier.config.outputs}
    ours = {output.name: output for output in model.config.outputs}
    for name, called in step.outputs.items():
        if name not in theirs:
            raise ConfigurationError(
                f"{model.folder}: its output_map names '{name}', but '{step.model}' puts out {', '.join(theirs)}"
            )
        if called != name:
            raise ConfigurationError(
                f"{model.folder}: its output_map calls '{name}' '{called}'; outputs keep their names here"
            )
        if name not in ours:
            raise ConfigurationError(
                f"{model.folder}: its output_map passes '{name}' on; declare it as an output too, or remove it"
            )
    for name, output in ours.items():
        if name not in step.outputs:
            raise ConfigurationError(
                f"{model.folder}: its output '{name}' comes from no step; add it to the output_map of '{step.model}'"
            )
        if (output.datatype, output.shape) != (theirs[name].datatype, theirs[name].shape):
            raise ConfigurationError(
                f"{model.folder}: its output '{name}' is {output.datatype} {list(output.shape)}, but '{step.model}' "
                f"puts out {theirs[name].datatype} {list(theirs[name].shape)}; make them the same"
            )
