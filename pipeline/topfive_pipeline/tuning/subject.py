"""The model that is tuned: which folders are served for it, whose config.pbtxt is tuned, and whether that can be."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from topfive.backends.onnx_runtime import may_use_gpu
from topfive.ground.errors import ConfigurationError
from topfive.models.wiring import apply, classifies
from topfive.repository.misplaced import CONFIG
from topfive.repository.reading import Repository, StoredModel
from topfive_pipeline.judging.subjects import choice_here


@dataclass(frozen=True, slots=True)
class Subject:
    """The model `name`, as clients call it; `classifier` is what runs in batches for it, and has the settings."""

    name: str
    model: StoredModel
    classifier: StoredModel
    folders: tuple[Path, ...]

    @property
    def config(self) -> Path:
        """The file that is tuned."""
        return self.classifier.folder / CONFIG

    @property
    def graph(self) -> Path:
        """The graph that servers on this machine run."""
        return self.classifier.graph_path(max(self.classifier.versions))

    @property
    def largest_warm_up(self) -> int:
        """Images of the largest sample of `model_warmup`; 0 without one."""
        return max((sample.shape[0] for sample in self.classifier.config.warm_ups), default=0)

    @property
    def side(self) -> tuple[int, int] | None:
        """Height and width of the only size that it takes; None if it takes all."""
        height, width = self.model.config.inputs[0].shape[1:3]
        return None if -1 in (height, width) else (height, width)


def find(name: str, repository: Path) -> Subject:
    """The model `name` of `repository`; raises `ConfigurationError` if there is none, or it cannot be tuned."""
    stored = apply({}, Repository(repository, choice=choice_here()).read())
    steps = {step.model for model in stored.values() for step in model.config.steps}
    called = [each for each, model in stored.items() if each not in steps and (model.config.steps or classifies(model))]
    if name not in called:
        raise ConfigurationError(f"{repository} has no model '{name}' that clients can ask; it has {', '.join(called)}")
    model = stored[name]
    if not model.config.steps:
        found = Subject(name, model, model, (model.folder,))
    else:
        parts = [stored[step.model] for step in model.config.steps]
        found = Subject(name, model, parts[-1], (model.folder, *(part.folder for part in parts)))
    _check_on_cpu(found)
    return found


def _check_on_cpu(subject: Subject) -> None:
    device = subject.classifier.config.device
    on_gpu = device == "gpu" or (
        device == "auto" and subject.classifier.config.engine == "onnxruntime" and may_use_gpu()
    )
    if on_gpu:
        kind = "KIND_GPU" if device == "gpu" else "KIND_AUTO"
        raise ConfigurationError(
            f"{subject.config}: this model runs on a GPU here ({kind}), where "
            "it has one session and instances and threads mean nothing; tune is for CPUs: set instance_group.kind to "
            "KIND_CPU to tune it for one"
        )
