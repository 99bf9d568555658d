"""The store of experiments: MLflow's, by its own client, so that `mlflow ui` and all that reads MLflow reads it.

The only module that imports MLflow, and only when it is asked for something: that takes a second. It is told to send no
telemetry. The store is the one that MLFLOW_TRACKING_URI names, else `mlflow.db` (SQLite) of the working directory with
the files in `mlruns` beside it, where MLflow looks by itself.
"""

from __future__ import annotations

import logging
import re
import sqlite3
import warnings
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final
from urllib.parse import quote

from topfive.config.environment import set_if_unset, variable
from topfive.ground.errors import ConfigurationError
from topfive_pipeline.entry.locking import locked
from topfive_pipeline.experiments.runs import DATA, DATA_FOLDER, Run, Stored, discreet

INSTALL: Final = "pip install 'topfive[experiments]'"
_URI: Final = "MLFLOW_TRACKING_URI"
_EXPERIMENT_NAME: Final = "MLFLOW_EXPERIMENT_NAME"
_DEFAULT: Final = "sqlite:///mlflow.db"
_EXPERIMENT: Final = "topfive"
_SQLITE: Final = "sqlite:///"
_QUIET: Final = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_DISABLE_AGENT_HINT": "1",
    # A result waits for its record: not for the four minutes for which MLflow tries to reach a server by itself.
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
}
"""Variables that MLflow reads when it is imported; those that the user has set stay."""
_LOCK_SECONDS: Final = 20.0
_PAGE: Final = 500
_DATASET_DIGITS: Final = 36
"""The most that MLflow takes for the digest of a data set."""
_CREDENTIALS: Final = re.compile(r"//[^/\s@]+@")


def is_installed() -> bool:
    """Whether there is an MLflow that could keep a log; nothing is imported."""
    return find_spec("mlflow") is not None


class Tracker:
    """A store of experiments; every method raises `ConfigurationError` if the store cannot do it."""

    def __init__(self, uri: str | None = None) -> None:
        """Of the store at `uri`; None for the one that the environment names."""
        self._uri = uri or variable(_URI) or _DEFAULT
        self._experiment_name = variable(_EXPERIMENT_NAME) or _EXPERIMENT
        self._experiment: str | None = None
        self._client: Any = None

    @property
    def where(self) -> str:
        """The store's address without credentials."""
        return _CREDENTIALS.sub("//", self._uri)

    @property
    def name(self) -> str:
        """The same for a graph that others will have: of a store on this machine, without its folder."""
        scheme, _, rest = self.where.partition("://")
        if scheme in {"http", "https"}:
            return self.where.partition("?")[0]
        return f"{scheme}:///{Path(rest).name}" if rest else Path(self.where).name

    def begin(self, name: str) -> str:
        """Begin a run that people see as `name`; return its id."""
        with self._told():
            client = self._opened()
            return str(client.create_run(self._experiment_id(client), run_name=name).info.run_id)

    def fill(self, run_id: str, run: Run, *, parent: str | None = None) -> None:
        """Record all of `run` as the run `run_id`, and end it; `parent` is the run that it is shown below."""
        with self._told():
            from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag

            client, now = self._opened(), int(datetime.now(UTC).timestamp() * 1000)
            tags = {**run.tags, **({} if parent is None else {"mlflow.parentRunId": parent})}
            said = {name: text for name, value in run.params.items() if (text := discreet(value)) is not None}
            client.log_batch(
                run_id,
                metrics=[Metric(name, float(value), now, 0) for name, value in run.metrics.items()],
                params=[Param(name, value) for name, value in said.items()],
                tags=[RunTag(name, value) for name, value in tags.items()],
            )
            if DATA in run.tags:  # where MLflow's own pages show what a run was of
                digest, context = run.tags[DATA][:_DATASET_DIGITS], InputTag("mlflow.data.context", "judging")
                photos = Dataset(run.tags.get(DATA_FOLDER, "photos"), digest, "local", "")
                client.log_inputs(run_id, [DatasetInput(photos, [context])])
            self._keep_files(client, run_id, run)
            client.set_terminated(run_id)

    def fail(self, run_id: str) -> None:
        """End a run of which nothing more will be recorded."""
        with self._told():
            self._opened().set_terminated(run_id, "FAILED")

    def runs(self, most: int | None = None, *, tags: Mapping[str, str] | None = None) -> list[Stored]:
        """The runs of topfive with these `tags`, the newest first, at most so many; without their files."""
        wanted = " and ".join(f"tags.`{name}` = '{value}'" for name, value in (tags or {}).items())
        with self._told():
            client = self._opened()
            found: list[Stored] = []
            token = None
            while True:
                page = client.search_runs(
                    [self._experiment_id(client)],
                    filter_string=wanted,
                    max_results=min(_PAGE, most or _PAGE),
                    order_by=["attributes.start_time DESC"],
                    page_token=token,
                )
                found += [_stored(run) for run in page]
                token = page.token
                if not token or (most is not None and len(found) >= most):
                    return found[:most]

    def run(self, run_id: str) -> Stored:
        """One run with the names of its files."""
        with self._told():
            client = self._opened()
            return _stored(client.get_run(run_id), tuple(sorted(_files(client, run_id))))

    def _opened(self) -> Any:
        """MLflow's client of the store; the first call imports it, and makes a store in SQLite if there is none."""
        if self._client is None:
            set_if_unset(_QUIET)
            self._check()
            from mlflow import MlflowClient

            for name in ("mlflow", "alembic"):
                logging.getLogger(name).setLevel(logging.CRITICAL)  # what goes wrong is said here, in one line
            path = self._database()
            with nullcontext() if path is None else locked(path.absolute().parent):
                self._client = MlflowClient(self._uri, self._uri)
        return self._client

    def _check(self) -> None:
        """Raise if it is clear that the store cannot be used: MLflow would try for minutes, or speak in riddles."""
        if not is_installed():
            raise ConfigurationError(f"experiments are kept by MLflow, which is not installed: {INSTALL}")
        if not self._uri.startswith("sqlite:"):
            return
        if find_spec("sqlalchemy") is None or find_spec("alembic") is None:
            raise ConfigurationError(f"a store in SQLite needs SQLAlchemy and Alembic: {INSTALL}")
        if (path := self._database()) is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(path, timeout=_LOCK_SECONDS)) as database:
                database.execute("BEGIN IMMEDIATE")  # what cannot be written fails here, and not ten times in MLflow
                database.rollback()

    def _database(self) -> Path | None:
        """The file of a store in SQLite; None for any other."""
        if not self._uri.startswith(_SQLITE):
            return None
        return Path(self._uri.removeprefix(_SQLITE).partition("?")[0])

    def _experiment_id(self, client: Any) -> str:
        """The id of topfive's experiment, which is made if it is not there."""
        if self._experiment is None:
            from mlflow.exceptions import MlflowException

            path, name = self._database(), self._experiment_name
            files = None if path is None else (path.absolute().parent / "mlruns" / quote(name, safe="")).as_uri()
            found = client.get_experiment_by_name(name)
            if found is None:
                try:
                    self._experiment = client.create_experiment(name, artifact_location=files)
                except MlflowException:  # another command has made it meanwhile, or it cannot be made
                    found = client.get_experiment_by_name(name)
                    if found is None:
                        raise
            if found is not None:
                self._experiment = str(found.experiment_id)
        assert self._experiment is not None
        return self._experiment

    def _keep_files(self, client: Any, run_id: str, run: Run) -> None:
        with TemporaryDirectory() as folder:
            for name, text in run.texts.items():
                path = Path(folder, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
            if run.texts:
                client.log_artifacts(run_id, folder)
        for name, path in run.files.items():
            where = Path(name).parent
            client.log_artifact(run_id, str(path), None if where == Path() else where.as_posix())

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Whatever goes wrong meanwhile is a `ConfigurationError`."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of packages that MLflow imports
                yield
        except ConfigurationError:
            raise
        except Exception as error:  # stores raise what their libraries do: SQLAlchemy, requests, the system
            raise ConfigurationError(
                f"the log of experiments at {self.where} cannot be used ({_reason(error)}); set {_URI} to another place"
            ) from error


def _reason(error: BaseException) -> str:
    """What the database or the system said, if it was one of these, else MLflow; a line without credentials."""
    chain = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None:
        chain.append(cause)
    said = next((each for each in reversed(chain) if isinstance(each, sqlite3.Error | OSError)), error)
    line = (str(said).splitlines() or [""])[0] or type(said).__name__
    return _CREDENTIALS.sub("//", line)


def _stored(run: Any, artifacts: tuple[str, ...] = ()) -> Stored:
    return Stored(
        id=run.info.run_id,
        began=datetime.fromtimestamp(run.info.start_time / 1000, UTC),
        status=run.info.status,
        params=dict(run.data.params),
        metrics=dict(run.data.metrics),
        tags=dict(run.data.tags),
        artifacts=artifacts,
    )


def _files(client: Any, run_id: str, folder: str | None = None) -> Iterator[str]:
    """The names of a run's files, in all folders."""
    for each in client.list_artifacts(run_id, folder):
        if each.is_dir:
            yield from _files(client, run_id, each.path)
        else:
            yield each.path
