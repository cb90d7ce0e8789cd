"""Whatever happens at a practice, and however it is asked for and loaded, it ends in the truth.

Two practices live in one lake, behind the real stages. After each load, `core` and `history` are
what the plain fold makes of the exports so far, and what sound exports cover is as at the server.
"""

import sys
import tempfile
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import cast

import duckdb
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    precondition,
    rule,
    run_state_machine_as_test,
)

from ecw_pipeline.clock import ManualClock
from ecw_pipeline.errors import EcwError, TemporaryError
from ecw_pipeline.fhir.instants import format_instant
from ecw_pipeline.fhir.resource_types import snake_case
from ecw_pipeline.settings import Settings
from ecw_pipeline.stages.exports import start_exports, wait_for_exports
from ecw_pipeline.stages.landing import land_side_files, land_type
from ecw_pipeline.stages.loading import load_exports
from ecw_pipeline.stages.plans import Wish
from ecw_pipeline.warehouse.database import read_published
from ecw_pipeline_tests.examples import examples
from ecw_pipeline_tests.stages.exported import SMALL_TABLES, Exported, Rows, SmallLake
from ecw_pipeline_tests.stages.model_server import (
    START,
    TYPES,
    Habits,
    Key,
    Practice,
    model_server,
)

NAMES = ("north", "south")
DAYS = ("2026-01-01", "2026-01-02")
PERIOD = "valid_from, valid_to, closed_by"
SECONDS_OF_A_DAY = 86_400
# Habits after which only another full export can make things right.
HIDING = ("garbled", "nameless", "partial", "overlooked")


@dataclass(frozen=True)
class Put:
    """A resource is made, changed or made again."""

    key: Key
    text: str
    says_when: bool
    ticks: int


@dataclass(frozen=True)
class Remove:
    """A resource goes; not every server says so."""

    key: Key
    announced: bool


names = st.sampled_from(NAMES)
keys = st.sampled_from([(kind, resource_id) for kind in TYPES for resource_id in "abc"])
puts = st.builds(Put, keys, st.sampled_from(["x", "yz"]), st.booleans(), st.integers(0, 1))
removes = st.builds(Remove, keys, st.sampled_from([True, True, True, False]))
changes = st.lists(puts | puts | removes, min_size=1, max_size=4)
plans = st.sampled_from(
    [{}, {"ask_again": True}, {"ask_again": True}, {"wish": Wish(is_full=True)}]
)
habits = st.one_of(
    st.just(Habits()),
    st.just(Habits(writes_late=True)),
    st.builds(
        Habits,
        st.booleans(),
        st.sampled_from([False, False, True]),
        st.dictionaries(keys, st.sampled_from([*HIDING, "twice"]), max_size=2),
    ),
)


class Histories(RuleBasedStateMachine):
    """What happens at the practices, and what is asked, landed and loaded of it."""

    def __init__(self, url: str, practices: dict[str, Practice]) -> None:
        super().__init__()
        practices |= {name: Practice(f"{url}/{name}") for name in NAMES}
        self.practices = practices
        for practice in practices.values():  # one without patients would be taken for a mistake
            practice.put(("Patient", "always"), "x", says_when=True, ticks=0)
        # The first export that can know each type as it is, and the first full one that must.
        self.changed = {(name, kind): 0 for name in NAMES for kind in TYPES}
        self.doubtful = dict(self.changed)
        self.clock = ManualClock(START)
        self.folder = tempfile.TemporaryDirectory()
        self.lake = self._lake()

    def _lake(self) -> SmallLake:
        folder = Path(self.folder.name)
        file, secret = folder / "connections.toml", folder / "secret"
        secret.touch(0o600)
        secret.write_text("secret")
        texts = [
            f"[connections.{name}]\nprovider = 'smart-sandbox'\nclient_id = 'us'\n"
            f"client_secret_file = '{secret}'\nfhir_endpoint = '{practice.url}'\n"
            "windows = ['1000000/1day']\n"
            for name, practice in self.practices.items()
        ]
        file.write_text("".join(texts))
        return SmallLake(Settings(ECW_DATA=folder / "data", ECW_CONNECTIONS=file), self.clock)

    @rule(name=names, changes=changes)
    def live(self, name: str, changes: list[Put | Remove]) -> None:
        practice = self.practices[name]
        for change in changes:
            mark = name, change.key[0]
            self.changed[mark] = len(practice.jobs)
            match change:
                case Put(key, text, says_when, ticks):
                    practice.put(key, text, says_when=says_when, ticks=ticks)
                case Remove(key, announced):
                    practice.remove(key, announced=announced)
                    if not announced:
                        self.doubtful[mark] = len(practice.jobs)

    @rule(name=names, plan=plans, days=st.sets(st.sampled_from(DAYS), min_size=1), habits=habits)
    def ask(self, name: str, plan: dict[str, object], days: set[str], habits: Habits) -> None:
        practice = self.practices[name]
        practice.habits, before = habits, len(practice.jobs)
        with suppress(TemporaryError):  # everything is wanted while news are under way
            start_exports(self.lake, self.lake.connection(name), sorted(days), **plan)  # type: ignore[arg-type]
        if len(practice.jobs) > before:
            for (kind, _), oddity in habits.oddities.items():
                if oddity in HIDING:
                    self.doubtful[name, kind] = len(practice.jobs)

    @rule(
        name=names,
        refused=st.frozensets(st.sampled_from([*TYPES, "deleted", "errors"]), max_size=1),
        only_newest=st.booleans(),
    )
    def bring(self, name: str, refused: frozenset[str], only_newest: bool) -> None:
        self.practices[name].refused_types = refused
        ledger = self.lake.ledger
        wait_for_exports(self.lake, [e.export_id for e in ledger.exports(name) if e.is_open])
        arrived = [export for export in ledger.exports(name) if export.has_arrived]
        for export in arrived[-1:] if only_newest else arrived:
            with suppress(EcwError):
                land_side_files(self.lake, export)
                for one in ledger.types(export.export_id):
                    with suppress(EcwError):
                        land_type(self.lake, export, one.resource_type)

    @precondition(lambda self: any(practice.jobs for practice in self.practices.values()))
    @rule()
    def load(self) -> None:
        load_exports(self.lake)
        with self._warehouse() as connection:
            for kind in TYPES:
                exported = Exported(self.lake, self.practices, kind)
                _compare_with_fold(connection, kind, exported)
                for name, practice in self.practices.items():
                    if self._is_known(name, kind, exported):
                        assert _current(connection, name, kind) == _truth(practice, kind)

    @rule(days=st.integers(0, 2))
    def restart(self, days: int) -> None:
        self.clock.advance(days * SECONDS_OF_A_DAY)
        self.lake = self._lake()

    def teardown(self) -> None:
        """In the end everything is asked for once more, and comes."""
        with self.folder:
            if sys.exc_info()[0] is None:
                self._end()

    def _end(self) -> None:
        for name in NAMES:
            self.bring(name, frozenset(), only_newest=False)
            self.ask(name, {"wish": Wish(is_full=True)}, set(DAYS), Habits())
            self.bring(name, frozenset(), only_newest=False)
        self.load()
        with self._warehouse() as connection:
            for kind in TYPES:
                exported = Exported(self.lake, self.practices, kind)
                assert all(self._is_known(name, kind, exported) for name in NAMES)
                _compare_at_every_instant(connection, kind, exported)

    def _warehouse(self) -> duckdb.DuckDBPyConnection:
        return read_published(self.lake.folder.warehouse)

    def _is_known(self, name: str, kind: str, exported: Exported) -> bool:
        """Whether what is loaded must be as at the server now."""
        jobs = exported.jobs(name)
        is_sound = any(
            job.since is None and job.number >= self.doubtful[name, kind] for job in jobs
        )
        return is_sound and any(job.number >= self.changed[name, kind] for job in jobs)


def _compare_with_fold(
    connection: duckdb.DuckDBPyConnection, kind: str, exported: Exported
) -> None:
    spans = exported.spans()
    current = [span for span in spans if not span.valid_to]
    closed = [span for span in spans if span.valid_to]
    for small in (small for small in SMALL_TABLES if small.resource_type == kind):
        core = f"SELECT {small.columns} FROM core.{small.name}"
        history = f"SELECT {small.columns}, {PERIOD} FROM history.{small.name}"
        assert _rows(connection, core) == exported.rows(small, current)
        assert _rows(connection, history) == exported.rows(small, closed)


def _compare_at_every_instant(
    connection: duckdb.DuckDBPyConnection, kind: str, exported: Exported
) -> None:
    spans = exported.spans()
    for instant in {at for span in spans for at in (span.valid_from, span.valid_to) if at}:
        then = [replace(span, valid_to=None) for span in spans if span.holds_at(instant)]
        for small in (small for small in SMALL_TABLES if small.resource_type == kind):
            asked = f"as_of('{small.name}', TIMESTAMPTZ '{format_instant(instant)}')"
            found = _rows(connection, f"SELECT {small.columns} FROM {asked}")
            assert found == exported.rows(small, then)


def _rows(connection: duckdb.DuckDBPyConnection, sql: str) -> Rows:
    return Counter(connection.execute(sql).fetchall())


def _current(connection: duckdb.DuckDBPyConnection, name: str, kind: str) -> Rows:
    table = snake_case(kind)
    return _rows(
        connection,
        f"SELECT {table}_id, value, meta_last_updated FROM core.{table}"
        f" WHERE connection_id = '{name}'",
    )


def _truth(practice: Practice, kind: str) -> Rows:
    return Counter(
        (version.key[1], version.text, version.last_updated)
        for version in practice.live.values()
        if version.key[0] == kind
    )


@pytest.fixture
def quick_duckdb(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiny statements cost half of what they do with many threads and a search for pandas."""
    monkeypatch.setitem(sys.modules, "pandas", None)


@pytest.mark.usefixtures("quick_duckdb")
def test_every_history_ends_in_the_truth() -> None:
    with model_server() as (url, practices):
        run_state_machine_as_test(
            cast("type[Histories]", partial(Histories, url, practices)),
            settings=settings(examples(60 // len(NAMES)), stateful_step_count=12),
        )
