"""`driftline reference build --from feast:REPOSITORY`: rows of a Feast offline store, joined by Feast's own client."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from monitor.errors import ReferenceInvalid, UsageError

if TYPE_CHECKING:
    from monitor.reference.parquet_file import ParquetTables
    from monitor.reference.selection import Selection

FEAST = "feast:"
WHERE = "reference build --from feast:"
EVENTS = "event_timestamp"
"""Feast's own name for when a row of entities was true."""


def feast_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """What of a Feast repository is read."""
    options = [
        click.option("--service", default="", metavar="NAME", help="Feast only: a feature service."),
        click.option(
            "--view", "views", multiple=True, metavar="NAME[:FEATURE]", help="Feast only: a view; repeat."
        ),
        click.option(
            "--entity-df",
            default="",
            metavar="FILE",
            help="Feast only: entities and times to join features to, Parquet or CSV; other columns are kept.",
        ),
    ]
    for option in reversed(options):
        function = option(function)
    return function


def open_feast(given: dict[str, Any], selection: Selection) -> ParquetTables:
    """The rows that Feast joins, as those of a Parquet file, which goes when the command ends.

    Feast holds all of them in memory. Join keys are no features unless they are named.
    """
    from dataclasses import replace

    from monitor.reference.parquet_file import ParquetTables

    repository = given["origin"].removeprefix(FEAST)
    _check(given, repository)
    folder = click.get_current_context().with_resource(tempfile.TemporaryDirectory(prefix="driftline-"))
    path = Path(folder) / "rows.parquet"
    with _feast(repository) as store:
        columns, keys, lost = _join(store, given, path)
    declared = {feature.column or feature.name for feature in selection.features or ()}
    changes: dict[str, Any] = {"exclude": selection.exclude | (keys - declared)}
    if selection.time not in columns:
        changes |= {"time": EVENTS, "time_unit": None, "record_time": False}
    given["name"] = given["name"] or given["service"] or "+".join(given["views"])
    tables = ParquetTables(str(path), replace(selection, **changes))
    if lost:
        tables.notes += (
            f"{lost} rows of entities left out by Feast: it takes one of those of the same keys and time",
        )
    return tables


def _check(given: dict[str, Any], repository: str) -> None:
    if bool(given["service"]) == bool(given["views"]):
        raise UsageError(
            f"--service or --view, one of them - {WHERE} - a feature service, or views of it, are right"
        )
    if not given["entity_df"]:
        raise UsageError(
            f"no entities - {WHERE} - --entity-df FILE with join keys and {EVENTS} of the rows that were trained on is right"
        )
    if given["since"] or given["until"]:
        raise UsageError(
            f"--since and --until are for topics - {WHERE} - the rows of --entity-df say what is read"
        )
    if not (Path(repository) / "feature_store.yaml").is_file():
        raise UsageError(
            f"no feature_store.yaml - {repository or '.'} - the folder of a Feast repository is right"
        )


@contextlib.contextmanager
def _feast(repository: str) -> Iterator[Any]:
    """The client of the user's environment. What it prints goes to stderr: stdout is the command's own."""
    try:
        with contextlib.redirect_stdout(sys.stderr):
            from feast import FeatureStore
    except ImportError as error:
        raise UsageError(
            f"Feast cannot be imported ({error}) - {WHERE} - pip install 'driftline[feast]' is right"
        ) from error
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield FeatureStore(repo_path=repository)
    except (ReferenceInvalid, UsageError):
        raise
    except Exception as error:
        # boundary: Feast raises whatever the store, the repository or the data make it raise
        text = " ".join(str(error).split())[:300] or type(error).__name__
        raise ReferenceInvalid(
            f"Feast says: {text} - {repository} - a store that can be read is right"
        ) from error


def _join(store: Any, given: dict[str, Any], path: Path) -> tuple[frozenset[str], frozenset[str], int]:
    """Write the joined rows; their columns, the join keys among them, and how many rows of entities there are more."""
    import pyarrow.parquet as pq

    entities = _entities(given["entity_df"])
    keys = frozenset(entity.join_key for entity in store.list_entities())
    job = store.get_historical_features(entity_df=entities, features=_wanted(store, given))
    table = job.to_arrow()
    pq.write_table(table, path)
    columns = frozenset(table.column_names)
    return columns, keys & columns, len(entities) - table.num_rows


def _wanted(store: Any, given: dict[str, Any]) -> Any:
    """A feature service, or references of features: all of a view where none is named."""
    if given["service"]:
        known = [one.name for one in store.list_feature_services()]
        if given["service"] not in known:
            raise UsageError(_unknown("feature service", given["service"], known))
        return store.get_feature_service(given["service"])
    views = {one.name: one for one in (*store.list_feature_views(), *store.list_on_demand_feature_views())}
    wanted: list[str] = []
    for text in given["views"]:
        name, _, feature = text.partition(":")
        if name not in views:
            raise UsageError(_unknown("view", name, list(views)))
        features = [one.name for one in views[name].features]
        if feature and feature not in features:
            raise UsageError(_unknown(f"feature of {name}", feature, features))
        wanted += [f"{name}:{one}" for one in ([feature] if feature else features)]
    return wanted


def _unknown(what: str, name: str, known: list[str]) -> str:
    return f"there is no {what} called {name} - {WHERE} - one of {', '.join(sorted(known)) or 'none there is'} is right"


def _entities(path: str) -> Any:
    """A table of entities as pandas has it, which Feast asks for; its times in UTC."""
    import pandas as pd

    try:
        frame = pd.read_csv(path) if path.lower().endswith((".csv", ".csv.gz")) else pd.read_parquet(path)
    except (OSError, ValueError) as error:
        text = " ".join(str(error).split())[:200]
        raise ReferenceInvalid(
            f"the entities cannot be read ({text}) - {path} - Parquet or CSV is right"
        ) from error
    if EVENTS not in frame.columns:
        raise ReferenceInvalid(
            f"the entities have no times - {path} - a column {EVENTS}, beside the join keys, is right"
        )
    try:
        frame[EVENTS] = pd.to_datetime(frame[EVENTS], utc=True)
    except (ValueError, TypeError) as error:
        raise ReferenceInvalid(
            f"{EVENTS} holds no times - {path} - RFC 3339, as 2026-11-01T00:00:00Z, is right"
        ) from error
    return frame
