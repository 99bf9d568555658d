"""What the tests of judging share: a small model in three versions, photos whose classes are known, and a judgement."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline import colours
from tests.pipeline.conftest import no_servers
from tests.pipeline.importing import edit, imported, wanted, with_other_weights
from topfive_pipeline.entry.names import graph_path
from topfive_pipeline.judging.accuracy import Accuracy, Difference, Share
from topfive_pipeline.judging.footprint import Footprint
from topfive_pipeline.judging.intervals import Interval, difference_interval, share_interval
from topfive_pipeline.judging.results import Judged
from topfive_pipeline.judging.speed import Pace, Spread
from topfive_pipeline.preprocessing.choices import Choice, Choices
from topfive_pipeline.preprocessing.rules import Preprocessing
from topfive_pipeline.proof.photos import Photo
