"""The 1000 class names in index order, read from the data files of the `timm` wheel, which is never imported.

The rule: a class gets its first WordNet lemma as its name. If two classes share a name, ignoring letter case, each gets
an addition in brackets: its next lemma, otherwise the beginning of its definition, up to the first
punctuation mark or joining word. So "crane (large long-necked wading bird)" and "crane (lifts and moves heavy
objects)", "maillot (tights)" and "maillot (tank suit)", "Cardigan (Cardigan Welsh corgi)" and "cardigan (knitted
jacket)".
"""

import re
from collections import Counter
from collections.abc import Sequence
from importlib.metadata import distribution, version
from pathlib import Path

from topfive_pipeline.entry.provenance import sha256

PACKAGE = "timm"
FILES = ("imagenet_synsets.txt", "imagenet_synset_to_lemma.txt", "imagenet_synset_to_definition.txt")

_END_OF_OPENING = re.compile(r"[,;:.(]| (?:of|for|in|on|with|having|that|which|used) ")


def source_files() -> list[Path]:
    """Return the paths of the three files: synsets in index order, their lemmas, their definitions.

    Raises `importlib.metadata.PackageNotFoundError` if timm is not installed.
    """
    timm = distribution(PACKAGE)
    return [Path(str(timm.locate_file(f"timm/data/_info/{name}"))) for name in FILES]


def source() -> str:
    """The package, its version, and the digests of the three files."""
    digests = ", ".join(f"{path.name} sha256 {sha256(path)}" for path in source_files())
    return f"{PACKAGE} {version(PACKAGE)}: {digests}; the first WordNet lemma, made unambiguous where shared"


def load() -> list[str]:
    """Return the 1000 names in the order of the class indices."""
    synsets, lemmas, definitions = source_files()
    lemma_of, definition_of = _table(lemmas), _table(definitions)
    order = synsets.read_text(encoding="utf-8").split()
    return unambiguous([(lemma_of[synset].split(", "), definition_of[synset]) for synset in order])


def unambiguous(classes: Sequence[tuple[Sequence[str], str]]) -> list[str]:
    """Name each class, given as (its lemmas, its definition), by the rule above.

    Raises ValueError if two names are still equal.
    """
    uses = Counter(lemmas[0].lower() for lemmas, _ in classes)
    names = [
        lemmas[0] if uses[lemmas[0].lower()] == 1 else f"{lemmas[0]} ({_apart(lemmas, definition)})"
        for lemmas, definition in classes
    ]
    repeated = [name for name, count in Counter(name.lower() for name in names).items() if count > 1]
    if repeated:
        raise ValueError(f"these labels would name more than one class: {', '.join(sorted(repeated))}")
    return names


def _apart(lemmas: Sequence[str], definition: str) -> str:
    return lemmas[1] if len(lemmas) > 1 else _END_OF_OPENING.split(definition, maxsplit=1)[0].strip()


def _table(path: Path) -> dict[str, str]:
    rows = (line.split("\t", 1) for line in path.read_text(encoding="utf-8").splitlines())
    return dict(rows)
