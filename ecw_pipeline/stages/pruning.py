"""Retention: taking away received files that nothing current needs.

A type of an old export may go once a complete export after it has landed without a refused line
(`completeness.py`): all that is current is in that one. The past goes with it: closed versions, and
resources that are gone since.
"""

import shutil
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from ecw_pipeline.errors import EcwError
from ecw_pipeline.files import machine_errors
from ecw_pipeline.ledger_rows import Export
from ecw_pipeline.stages.completeness import is_complete
from ecw_pipeline.stages.lake import Lake
from ecw_pipeline.stages.landing import counts_of, deletions_of
from ecw_pipeline.stages.loading import load_exports, settled_exports
from ecw_pipeline.stages.progress import Step, silent
from ecw_pipeline.stages.rebuilding import rebuild

# Where absence and completeness are told of: connection, level, group, resource type.
_Scope = tuple[str, str, str, str]


@dataclass(frozen=True)
class OldExport:
    """An export of long ago, the size of its files, and the types it is still needed for."""

    export: Export
    size_bytes: int
    needed_for: tuple[str, ...]


def old_exports(lake: Lake, days: int) -> list[OldExport]:
    """The exports that can be loaded and whose data is older than so many days, oldest first."""
    limit = lake.clock.now() - timedelta(days=days)
    settled = settled_exports(lake.ledger) if lake.folder.ledger.exists() else []
    complete = _newest_complete(lake, settled)
    return [
        OldExport(one, _size(lake, one), _needed_for(lake, one, complete))
        for one in sorted(settled, key=lambda export: export.known_at)
        if one.known_at < limit
    ]


def prune(lake: Lake, days: int, errors: list[EcwError], step: Step = silent) -> list[OldExport]:
    """Take away the old exports that nothing current needs, and make the warehouse without them.

    Readers have the new warehouse before a file goes. Killed in between, the same call goes on.

    Raises:
        BadDataError: a received file that is kept is gone or changed; nothing is taken away.
        MachineError: the disk is full; the published warehouse stays as it was.
    """
    going = [one for one in old_exports(lake, days) if not one.needed_for]
    if going:
        rebuild(lake, errors, step, without=[one.export.export_id for one in going])
    elif _left_behind(lake):
        load_exports(lake)
    for export in _left_behind(lake):
        _take_away(lake, export)
    return going


def _newest_complete(lake: Lake, exports: Collection[Export]) -> dict[_Scope, datetime]:
    """As of when each type was last received complete, every line of it taken."""
    newest: dict[_Scope, datetime] = {}
    for export in exports:
        for one in lake.ledger.types(export.export_id):
            scope = _scope(export, one.resource_type)
            is_whole = (
                one.state in ("landed", "loaded")
                and not counts_of(lake, export, one.resource_type).lines_quarantined
                and is_complete(lake, export, one.resource_type)
            )
            if is_whole:
                newest[scope] = max(export.known_at, newest.get(scope, export.known_at))
    return newest


def _needed_for(lake: Lake, export: Export, complete: dict[_Scope, datetime]) -> tuple[str, ...]:
    """The types that it brought, or told deletions of, and that came complete never since."""
    types = {one.resource_type for one in lake.ledger.types(export.export_id)}
    types |= {deletion.resource_type for _, deletion in deletions_of(lake, export)}
    return tuple(
        name
        for name in sorted(types)
        if complete.get(_scope(export, name), export.known_at) <= export.known_at
    )


def _scope(export: Export, resource_type: str) -> _Scope:
    return export.connection_id, export.level, export.group_id, resource_type


def _left_behind(lake: Lake) -> list[Export]:
    """The exports that were given up, and whose files are still here."""
    if not lake.folder.ledger.exists():
        return []
    pruned = [export for export in lake.ledger.exports() if export.state == "pruned"]
    return [one for one in pruned if lake.folder.export(one.connection_id, one.export_id).exists()]


def _take_away(lake: Lake, export: Export) -> None:
    """Received files last: as long as they are here, the next call finds what a kill left."""
    for flat in lake.folder.flat_tables.glob(f"*/{export.export_id}.parquet"):
        with machine_errors(flat):
            flat.unlink(missing_ok=True)
    folder = lake.folder.export(export.connection_id, export.export_id)
    with machine_errors(folder):
        shutil.rmtree(folder)


def _size(lake: Lake, export: Export) -> int:
    folder = lake.folder.export(export.connection_id, export.export_id)
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
