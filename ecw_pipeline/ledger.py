"""Every export and file, and the state each has reached. SQLite through SQLAlchemy Core.

The row is written before the request it describes, and every state change is one transaction, so
that after a kill anywhere the next run knows what was meant and what was done.
"""

import json
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.engine import Connection as Transaction
from sqlalchemy.engine import Row

from ecw_pipeline.clock import Clock
from ecw_pipeline.errors import MachineError
from ecw_pipeline.fhir.instants import format_instant
from ecw_pipeline.fhir.restriction import UNRESTRICTED, Restriction
from ecw_pipeline.files import PRIVATE_FILE_MODE, machine_errors, private_folder
from ecw_pipeline.ledger_rows import (
    ARRIVED_STAGES,
    Attachment,
    Export,
    ExportFile,
    ExportStage,
    ExportType,
    TypeStage,
    as_export,
)
from ecw_pipeline.ledger_tables import (
    ATTACHMENT,
    EXPORT,
    EXPORT_FILE,
    EXPORT_TYPE,
    PARTITION_DAY,
    create_tables,
)


class Ledger:
    """The one record of what was asked for and what arrived; safe for many processes."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._clock = clock
        self._path = path
        private_folder(path.parent)
        with machine_errors(path):
            path.touch(mode=PRIVATE_FILE_MODE)
        self._engine = sa.create_engine(
            f"sqlite:///{path}",
            connect_args={"timeout": 60},
            poolclass=sa.NullPool,
            hide_parameters=True,  # a file's URL may be a signed one
        )
        sa.event.listen(self._engine, "connect", _configure)
        sa.event.listen(self._engine, "begin", _begin_writing)
        with self._transaction() as transaction:
            create_tables(transaction)

    @contextmanager
    def _transaction(self) -> Iterator[Transaction]:
        with self._database_errors(), self._engine.begin() as transaction:
            yield transaction

    @contextmanager
    def _database_errors(self) -> Iterator[None]:
        """Say in words what SQLite refused; without the statement, which holds URLs."""
        try:
            yield
        except sa.exc.IntegrityError:
            raise
        except sa.exc.DBAPIError as error:
            raise MachineError(
                f"the ledger {self._path} cannot be used: {error.orig}",
                "free space on its disk and make it writable; work continues where it stopped",
            ) from None

    # --- intents and the conversation -------------------------------------------------------

    def intend_export(
        self,
        connection_id: str,
        level: str,
        group_id: str,
        resource_types: Sequence[str],
        since: datetime | None,
        days: Iterable[str],
        restriction: Restriction = UNRESTRICTED,
        *,
        is_partial: bool = False,
    ) -> Export:
        """Write down an export before it is asked for, and the partition days it is found by."""
        now = self._clock.now()
        export_id = f"{now:%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
        row = {
            "export_id": export_id,
            "connection_id": connection_id,
            "level": level,
            "group_id": group_id,
            "resource_types": json.dumps(list(resource_types)),
            "since": since and format_instant(since),
            "restriction": restriction.to_json(),
            "is_partial": is_partial,
            "state": "intended",
            "intended_at": format_instant(now),
        }
        with self._transaction() as transaction:
            transaction.execute(EXPORT.insert().values(row))
            _insert(transaction, EXPORT_TYPE, _types(export_id, resource_types))
            _insert(transaction, PARTITION_DAY, _days(connection_id, days, export_id))
        return self.export(export_id)

    def assign_days(self, export: Export, days: Iterable[str]) -> None:
        """Let an export that is already known answer further partition days."""
        with self._transaction() as transaction:
            _insert(transaction, PARTITION_DAY, _days(export.connection_id, days, export.export_id))

    def mark_kick_off(self, export_id: str) -> None:
        """Say that the kick-off request is about to leave."""
        self._update(export_id, kick_offs=EXPORT.c.kick_offs + 1, error="")

    def mark_requested(
        self, export_id: str, status_url: str, progress: str, wait_seconds: float, at: datetime
    ) -> None:
        """The server is at work; ask again at ``at``."""
        values: dict[str, Any] = {"state": "requested", "status_url": status_url}
        values |= {"progress": progress, "wait_seconds": wait_seconds}
        values |= {"next_poll_at": format_instant(at), "error": ""}
        known, now = self.export(export_id), format_instant(self._clock.now())
        if known.requested_at is None:
            values["requested_at"] = now
        if known.requested_at is None or progress != known.progress:
            values["progressed_at"] = now
        self._update(export_id, **values)

    def note_error(self, export_id: str, reason: str) -> None:
        """Why there is no answer; the next one takes it away."""
        self._update(export_id, error=reason)

    def mark_waiting(self, export_id: str, reason: str, at: datetime) -> None:
        """The kick-off was surely not taken, so it does not count; try again at ``at``."""
        values: dict[str, Any] = {"error": reason, "next_poll_at": format_instant(at)}
        self._update(export_id, kick_offs=EXPORT.c.kick_offs - 1, **values)

    def mark_without(self, export_id: str, parameter: str, reason: str) -> None:
        """The server does not take a parameter of the kick-off: it is asked again without it.

        Without ``_since`` the export is a full one; without ``_type`` it is of all types.
        """
        without: dict[str, dict[str, Any]] = {
            "_since": {"since": None},
            "_type": {"resource_types": "[]"},
        }
        self._update(export_id, **without[parameter])
        self.mark_waiting(export_id, reason, self._clock.now())

    def mark_lost(self, export_id: str, reason: str) -> None:
        """The server forgot the export: it is asked for anew."""
        values: dict[str, Any] = {"state": "intended", "error": reason, "status_url": ""}
        self._update(export_id, progress="", next_poll_at=None, **values)

    def mark_completed(
        self,
        export_id: str,
        transaction_time: datetime,
        requires_token: bool,
        files: Sequence[Mapping[str, Any]],
    ) -> None:
        """The manifest is known: plan its files, and the types it names beyond those asked for."""
        rows = [
            {"export_id": export_id, "file_number": number, **file}
            for number, file in enumerate(files)
        ]
        named = {str(file["resource_type"]) for file in files if file["kind"] == "output"}
        with self._transaction() as transaction:
            _insert(transaction, EXPORT_FILE, rows)
            _insert(transaction, EXPORT_TYPE, _types(export_id, sorted(named)))
            transaction.execute(
                EXPORT.update()
                .where(EXPORT.c.export_id == export_id)
                .values(
                    state="completed",
                    transaction_time=format_instant(transaction_time),
                    requires_token=requires_token,
                    completed_at=format_instant(self._clock.now()),
                    next_poll_at=None,
                )
            )

    def mark_state(self, export_id: str, state: ExportStage, reason: str) -> None:
        """The export failed, was cancelled, or nobody can say whether it was started."""
        self._update(export_id, state=state, error=reason, next_poll_at=None)

    def mark_pruned(self, export_ids: Sequence[str], reason: str) -> None:
        """The files of these exports are to go, all or none: nothing is loaded from them again."""
        where = EXPORT.c.export_id.in_(export_ids)
        with self._transaction() as transaction:
            transaction.execute(EXPORT.update().where(where).values(state="pruned", error=reason))

    # --- files and types ---------------------------------------------------------------------

    def mark_file(self, export_id: str, file_number: int, **values: Any) -> None:
        """Record what is now known of a file."""
        where = (EXPORT_FILE.c.export_id == export_id) & (EXPORT_FILE.c.file_number == file_number)
        with self._transaction() as transaction:
            transaction.execute(EXPORT_FILE.update().where(where).values(values))

    def add_type(self, export_id: str, resource_type: str) -> None:
        """An export holds a type that neither request nor manifest named."""
        with self._transaction() as transaction:
            _insert(transaction, EXPORT_TYPE, _types(export_id, [resource_type]))

    def mark_type(
        self, export_id: str, resource_type: str, state: TypeStage, error: str = ""
    ) -> None:
        """Record how far a type has come, and the export with it."""
        where = (EXPORT_TYPE.c.export_id == export_id) & (
            EXPORT_TYPE.c.resource_type == resource_type
        )
        with self._transaction() as transaction:
            transaction.execute(EXPORT_TYPE.update().where(where).values(state=state, error=error))
            _lift_export(transaction, export_id)

    # --- attachments -------------------------------------------------------------------------

    def plan_attachments(self, planned: Sequence[Mapping[str, Any]]) -> dict[str, Attachment]:
        """Write attachments down before they are fetched; returns what is known of each, by id."""
        with self._transaction() as transaction:
            _insert(transaction, ATTACHMENT, planned)
        ids = [one["attachment_id"] for one in planned]
        found = self._attachments(ATTACHMENT.c.attachment_id.in_(ids))
        return {one.attachment_id: one for one in found}

    def mark_attachment(self, attachment_id: str, **values: Any) -> None:
        """Record what came of an attachment."""
        newest = sa.select(sa.func.max(ATTACHMENT.c.revision)).scalar_subquery()
        values |= {"settled_at": format_instant(self._clock.now()), "revision": newest + 1}
        where = ATTACHMENT.c.attachment_id == attachment_id
        with self._transaction() as transaction:
            transaction.execute(ATTACHMENT.update().where(where).values(values))

    def attachments_after(self, revision: int, most: int) -> list[Attachment]:
        """What came of attachments since a revision, in order; ``most`` at a time."""
        return self._attachments(ATTACHMENT.c.revision > revision, most)

    def fetched_attachments(self, connection_id: str, sha1: str) -> list[Attachment]:
        """The fetched attachments of a connection that were declared with this hash."""
        is_same = (ATTACHMENT.c.connection_id == connection_id) & (ATTACHMENT.c.sha1 == sha1)
        return self._attachments(is_same & (ATTACHMENT.c.state == "fetched"))

    def _attachments(
        self, where: sa.ColumnElement[bool], most: int | None = None
    ) -> list[Attachment]:
        query = sa.select(ATTACHMENT).where(where).order_by("revision").limit(most)
        return [Attachment(**row._asdict()) for row in self._rows(query)]

    # --- questions -----------------------------------------------------------------------------

    def export(self, export_id: str) -> Export:
        """One export.

        Raises:
            KeyError: there is none of that id.
        """
        found = self._exports(EXPORT.c.export_id == export_id)
        if not found:
            raise KeyError(export_id)
        return found[0]

    def exports(self, connection_id: str | None = None) -> list[Export]:
        """All exports, oldest first; of one connection where it is named."""
        where = sa.true() if connection_id is None else EXPORT.c.connection_id == connection_id
        return self._exports(where)

    def exports_of_days(self, connection_id: str, days: Iterable[str]) -> list[Export]:
        """The exports that answer any of the partition days, oldest first."""
        chosen = sa.select(PARTITION_DAY.c.export_id).where(
            (PARTITION_DAY.c.connection_id == connection_id) & PARTITION_DAY.c.day.in_(sorted(days))
        )
        return self._exports(EXPORT.c.export_id.in_(chosen))

    def days_of(self, export_id: str) -> list[str]:
        """The partition days an export answers, in order."""
        query = sa.select(PARTITION_DAY.c.day).where(PARTITION_DAY.c.export_id == export_id)
        return [row.day for row in self._rows(query.order_by("day"))]

    def answered_days(self, connection_id: str) -> dict[str, list[str]]:
        """Each partition day with the exports that answer it, oldest first."""
        query = (
            sa.select(PARTITION_DAY)
            .join(EXPORT, EXPORT.c.export_id == PARTITION_DAY.c.export_id)
            .where(PARTITION_DAY.c.connection_id == connection_id)
            .where(sa.func.coalesce(EXPORT.c.is_partial, sa.false()) == sa.false())
        )
        answered: dict[str, list[str]] = {}
        for row in self._rows(query.order_by("day", "export_id")):
            answered.setdefault(row.day, []).append(row.export_id)
        return answered

    def types(self, export_id: str) -> list[ExportType]:
        """An export's types, by name."""
        query = sa.select(EXPORT_TYPE).where(EXPORT_TYPE.c.export_id == export_id)
        return [ExportType(**row._asdict()) for row in self._rows(query.order_by("resource_type"))]

    def files(self, export_id: str) -> list[ExportFile]:
        """An export's files, in the manifest's order."""
        query = sa.select(EXPORT_FILE).where(EXPORT_FILE.c.export_id == export_id)
        return [ExportFile(**row._asdict()) for row in self._rows(query.order_by("file_number"))]

    def file(self, export_id: str, file_number: int) -> ExportFile:
        """One file; an export may have thousands."""
        where = (EXPORT_FILE.c.export_id == export_id) & (EXPORT_FILE.c.file_number == file_number)
        (row,) = self._rows(sa.select(EXPORT_FILE).where(where))
        return ExportFile(**row._asdict())

    def _exports(self, where: sa.ColumnElement[bool]) -> list[Export]:
        found = [as_export(row._asdict()) for row in self._rows(sa.select(EXPORT).where(where))]
        return sorted(found, key=lambda export: (export.intended_at, export.export_id))

    def _rows(self, query: sa.Select[Any]) -> Sequence[Row[Any]]:
        reading = self._engine.execution_options(ecw_reads_only=True)
        with self._database_errors(), reading.connect() as connection:
            return connection.execute(query).all()

    def _update(self, export_id: str, **values: Any) -> None:
        with self._transaction() as transaction:
            transaction.execute(
                EXPORT.update().where(EXPORT.c.export_id == export_id).values(values)
            )


def _configure(connection: Any, _record: object) -> None:
    """Take transactions into our own hands: the driver would begin them too late."""
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode=WAL")


def _begin_writing(transaction: Transaction) -> None:
    """Take the write lock at once: a read that turns into a write ignores the timeout."""
    reads_only = transaction.get_execution_options().get("ecw_reads_only", False)
    transaction.exec_driver_sql("BEGIN" if reads_only else "BEGIN IMMEDIATE")


def _lift_export(transaction: Transaction, export_id: str) -> None:
    """An export has landed, or is loaded, when all its types have."""
    query = sa.select(EXPORT_TYPE.c.state).where(EXPORT_TYPE.c.export_id == export_id)
    states = {row.state for row in transaction.execute(query)}
    state = "completed"
    if states <= {"landed", "loaded"}:
        state = "loaded" if states <= {"loaded"} else "landed"
    where = (EXPORT.c.export_id == export_id) & EXPORT.c.state.in_(ARRIVED_STAGES)
    transaction.execute(EXPORT.update().where(where).values(state=state))


def _insert(transaction: Transaction, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows that are not there yet."""
    if rows:
        transaction.execute(sqlite_insert(table).on_conflict_do_nothing(), rows)


def _types(export_id: str, resource_types: Iterable[str]) -> list[dict[str, str]]:
    return [{"export_id": export_id, "resource_type": name} for name in resource_types]


def _days(connection_id: str, days: Iterable[str], export_id: str) -> list[dict[str, str]]:
    return [
        {"connection_id": connection_id, "day": day, "export_id": export_id} for day in set(days)
    ]
