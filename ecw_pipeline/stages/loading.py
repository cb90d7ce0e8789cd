"""From flat files to a published warehouse: whole exports, one transaction each, then publish."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass

import duckdb

from ecw_pipeline.errors import EcwError, UnsupportedViewError
from ecw_pipeline.landing.landing import Deletion
from ecw_pipeline.ledger import Ledger
from ecw_pipeline.ledger_rows import Export
from ecw_pipeline.marts.catalog import Mart, built_in_rules
from ecw_pipeline.stages.attachment_records import tell_of_attachments
from ecw_pipeline.stages.completeness import is_complete
from ecw_pipeline.stages.flattening import FlatFiles, flatten_type
from ecw_pipeline.stages.lake import Lake
from ecw_pipeline.stages.landing import counts_of, deletions_of, screened_files
from ecw_pipeline.stages.plans import is_on_its_way
from ecw_pipeline.stages.progress import Step, silent
from ecw_pipeline.stages.quality import tell_of_quality
from ecw_pipeline.stages.records import tell_of_files
from ecw_pipeline.stages.tables import Table, tables_of, why_a_view_may_be_hidden
from ecw_pipeline.warehouse import bookkeeping
from ecw_pipeline.warehouse.database import (
    empty_warehouse,
    read_published,
    transaction,
    working_warehouse,
)
from ecw_pipeline.warehouse.mart_runner import (
    build_mart,
    mart_names,
    note_completeness,
    write_code_lists,
    write_rules,
)
from ecw_pipeline.warehouse.merge import Moved, fold, refold_table
from ecw_pipeline.warehouse.publish import (
    forget_promise,
    is_publish_due,
    promise_publish,
    promise_rebuild,
    publish,
)
from ecw_pipeline.warehouse.versions import DeletedResource, Incoming, ScreenedFile


@dataclass(frozen=True)
class Loaded:
    """What loading one type of one export changed."""

    export_id: str
    resource_type: str
    lines_landed: int
    moved: Moved


def load_exports(lake: Lake) -> list[Loaded]:
    """Load every export that has landed and is not loaded, oldest first, then publish.

    Tables whose view is new or changed, or that were behind, are built anew. A table whose view
    fails stays at its last good state, marked stale.

    Raises:
        MachineError: the disk is full; the published warehouse stays as it was.
    """
    with lake.only_one("load"):
        loaded, is_due = load_landed(lake)
        if is_due:
            publish_all(lake)
        else:
            forget_promise(lake.folder.working_warehouse)
    return loaded


def load_landed(lake: Lake, step: Step = silent) -> tuple[list[Loaded], bool]:
    """Load what has landed; returns it, and whether there is something to publish.

    Only for who has the lake's "load" to themselves.
    """
    settled = settled_exports(lake.ledger)
    _believe_the_warehouse(lake, settled)
    flats = {name: FlatFiles(lake, table, settled) for name, table in lake.tables.items()}
    broken = _flatten_all(lake, _ready(lake, settled), step)
    working = lake.folder.working_warehouse
    is_due = is_publish_due(working, lake.folder.warehouse)
    promise_publish(working)
    loaded: list[Loaded] = []
    with working_warehouse(working) as connection:
        is_due |= _mend_tables(lake, connection, flats, broken)
        followers = {name: files for name, files in flats.items() if name not in broken}
        ready = _ready(lake, settled)  # again: a new view may have refused old lines
        for number, export in enumerate(ready, start=1):
            loaded.extend(_load_export(lake, connection, export, followers))
            step("load", number, len(ready))
        is_due |= tell_of_attachments(lake, connection)
    return loaded, is_due or bool(loaded)


def settled_exports(ledger: Ledger) -> list[Export]:
    """The exports of which nothing is on its way any more, and that can be loaded."""
    arrived = [export for export in ledger.exports() if export.has_arrived]
    return [export for export in arrived if not is_on_its_way(ledger, export)]


def _believe_the_warehouse(lake: Lake, exports: Sequence[Export]) -> None:
    """Correct the ledger where the working warehouse holds more, or less, than it says.

    More after a kill between the two; less when the file was deleted, to be built anew, or when
    a table has found lines unreadable since. What was pruned must go: then all is made anew.
    """
    working = lake.folder.working_warehouse
    with working_warehouse(working) as connection:
        held = bookkeeping.loaded_types(connection)
    pruned = {one.export_id for one in lake.ledger.exports() if one.state == "pruned"}
    if not pruned.isdisjoint(export_id for export_id, _ in held):
        empty_warehouse(working)
        promise_rebuild(working)
        held = {}
    for export in exports:
        for one in lake.ledger.types(export.export_id):
            counts = counts_of(lake, export, one.resource_type)
            is_held = held.get((export.export_id, one.resource_type)) == counts.lines_landed
            if one.state == "loaded" and not is_held:
                lake.ledger.mark_type(export.export_id, one.resource_type, "landed")
            elif one.state == "landed" and is_held:
                lake.ledger.mark_type(export.export_id, one.resource_type, "loaded")


def _ready(lake: Lake, settled: Iterable[Export]) -> list[Export]:
    """The exports of which something is to be loaded, oldest first."""
    return sorted((export for export in settled if _ready_types(lake, export)), key=_age)


def _age(export: Export) -> tuple[str, str]:
    return str(export.transaction_time), export.export_id


def _ready_types(lake: Lake, export: Export) -> list[str]:
    """The types of an export that can be loaded now."""
    types = lake.ledger.types(export.export_id)
    return [one.resource_type for one in types if one.state == "landed"]


def _flatten_all(lake: Lake, exports: Sequence[Export], step: Step) -> dict[str, str]:
    """Flatten what is to be loaded; returns the tables whose view fails, with why.

    A line that one table cannot read leaves all tables: then those before it are written anew.
    """
    broken: dict[str, str] = {}
    work = [(export, name) for export in exports for name in _ready_types(lake, export)]
    for number, (export, name) in enumerate(work, start=1):
        lines_landed = -1
        while lines_landed != (lines_now := counts_of(lake, export, name).lines_landed):
            lines_landed = lines_now
            broken |= flatten_type(lake, tables_of(lake.tables, name), export)[1]
        step("flatten", number, len(work))
    return broken


def _mend_tables(
    lake: Lake,
    connection: duckdb.DuckDBPyConnection,
    flats: Mapping[str, FlatFiles],
    broken: dict[str, str],
) -> bool:
    """Build anew the tables that are new, changed or behind; whether anything is other now.

    What turns out to fail is added to ``broken``, and marked stale.
    """
    is_mended = False
    for table in lake.tables.values():
        if table.name in broken:
            continue
        try:
            if bookkeeping.is_behind(connection, table.in_warehouse):
                with transaction(connection):
                    refold_table(connection, table.in_warehouse, list(flats[table.name].values()))
                    bookkeeping.mark_table(connection, table.name, table.fingerprint)
                is_mended = True
        except UnsupportedViewError as error:
            broken[table.name] = str(error)
    if reason := why_a_view_may_be_hidden(lake.tables):
        broken |= dict.fromkeys(bookkeeping.built_tables(connection) - set(lake.tables), reason)
    with transaction(connection):
        is_mended |= bookkeeping.drop_tables_but(connection, set(lake.tables) | set(broken))
    news = broken.items() - bookkeeping.stale_tables(connection).items()
    if news:
        with transaction(connection):
            for name, reason in news:
                bookkeeping.mark_table(connection, name, "", reason)
    return is_mended or bool(news)


def _load_export(
    lake: Lake,
    connection: duckdb.DuckDBPyConnection,
    export: Export,
    flats: Mapping[str, FlatFiles],
) -> list[Loaded]:
    """Load what has landed of one export, in one transaction."""
    deletions = deletions_of(lake, export)
    known = {one.resource_type for one in lake.ledger.types(export.export_id)}
    # A server may announce deletions of types that were not asked for.
    beyond = {deletion.resource_type for _, deletion in deletions} - known
    ready = [*_ready_types(lake, export), *sorted(beyond)]
    with transaction(connection):
        tell_of_files(lake, connection, export, ready)
        loaded = [
            _load_type(
                lake,
                connection,
                _incoming(lake, export, name, deletions),
                export,
                [(t, flats[t.name]) for t in tables_of(lake.tables, name) if t.name in flats],
            )
            for name in ready
        ]
    for name in ready:
        lake.ledger.mark_type(export.export_id, name, "loaded")
    return loaded


def _load_type(
    lake: Lake,
    connection: duckdb.DuckDBPyConnection,
    incoming: Incoming,
    export: Export,
    followers: Sequence[tuple[Table, FlatFiles]],
) -> Loaded:
    started_at = lake.clock.now()
    counts = counts_of(lake, export, incoming.resource_type)
    columns = {
        "lines_received": counts.lines_received,
        "lines_landed": counts.lines_landed,
        "lines_quarantined": counts.lines_quarantined,
        "manifest_count": counts.manifest_count,
    }
    bookkeeping.announce_load(connection, incoming, columns)
    tell_of_quality(lake, connection, incoming, export)
    moved = fold(connection, incoming, [(table.in_warehouse, files) for table, files in followers])
    now = lake.clock.now()
    seconds = (now - started_at).total_seconds()
    bookkeeping.record_load(connection, incoming, moved, now, seconds)
    return Loaded(export.export_id, incoming.resource_type, counts.lines_landed, moved)


def _incoming(
    lake: Lake, export: Export, resource_type: str, deletions: Iterable[tuple[str, Deletion]]
) -> Incoming:
    return Incoming(
        connection_id=export.connection_id,
        export_id=export.export_id,
        resource_type=resource_type,
        transaction_time=export.known_at,
        files=[
            ScreenedFile(path, file.path)
            for file, path in screened_files(lake, export, resource_type)
        ],
        deletions=[
            DeletedResource(deletion.resource_id, source_file, deletion.source_line)
            for source_file, deletion in deletions
            if deletion.resource_type == resource_type
        ],
        export_scope=f"{export.level}/{export.group_id}",
        is_restricted=bool(export.restriction),
        is_complete=is_complete(lake, export, resource_type),
    )


def build_marts(lake: Lake, marts: Iterable[Mart], errors: list[EcwError]) -> dict[str, int]:
    """Build marts from what is loaded now, then publish; returns the rows of each.

    A mart whose query cannot run stays as it was and leaves its error in ``errors``.
    """
    with lake.only_one("load"):
        if _is_cut_short(lake):
            load_landed(lake)
        built = replace_marts(lake, marts, errors)
        publish_all(lake)
    return built


def _is_cut_short(lake: Lake) -> bool:
    """Whether the working warehouse may hold less than readers have: it is new, or half filled."""
    working = lake.folder.working_warehouse
    with working_warehouse(working) as connection:
        is_empty = not bookkeeping.loaded_types(connection)
    return is_empty or is_publish_due(working, lake.folder.warehouse)


def replace_marts(lake: Lake, marts: Iterable[Mart], errors: list[EcwError]) -> dict[str, int]:
    """Build marts in the working warehouse; returns the rows of each."""
    built: dict[str, int] = {}
    codes = lake.codes
    with working_warehouse(lake.folder.working_warehouse) as connection:
        write_code_lists(connection, [astuple(code) for code in codes])
        write_rules(connection, [astuple(rule) for rule in built_in_rules()])
        for mart in marts:
            try:
                built[mart.name] = build_mart(
                    connection, mart.name, mart.question, mart.sql, mart.meanings
                )
                read = [lake.tables[one] for one in mart.core_tables if one in lake.tables]
                note_completeness(connection, mart.name, {one.resource_type for one in read})
            except UnsupportedViewError as error:
                errors.append(error)
    return built


def publish_all(lake: Lake) -> None:
    """Publish, after building the marts that readers have and a warehouse made anew lacks."""
    working, published = lake.folder.working_warehouse, lake.folder.warehouse
    if published.exists():
        with read_published(published) as connection:
            known = mart_names(connection)
        with working_warehouse(working) as connection:
            lost = known - mart_names(connection)
        replace_marts(lake, [m for m in lake.marts.values() if m.name in lost], [])
    publish(working, published)
