"""Making the warehouse anew from what was received, without the network (law 1).

Readers keep the published copy until the new one is whole.
"""

import shutil
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

from ecw_pipeline.errors import ConfigurationError, EcwError
from ecw_pipeline.files import machine_errors
from ecw_pipeline.ledger_rows import Export, ExportFile
from ecw_pipeline.stages.lake import Lake
from ecw_pipeline.stages.landing import paths_of, require_as_received
from ecw_pipeline.stages.loading import (
    Loaded,
    load_landed,
    publish_all,
    replace_marts,
    settled_exports,
)
from ecw_pipeline.stages.progress import Step, silent
from ecw_pipeline.warehouse import bookkeeping
from ecw_pipeline.warehouse.database import empty_warehouse, transaction, working_warehouse
from ecw_pipeline.warehouse.publish import is_rebuild_promised, promise_rebuild

_File = tuple[Export, ExportFile]


def rebuild(
    lake: Lake, errors: list[EcwError], step: Step = silent, *, without: Sequence[str] = ()
) -> list[Loaded]:
    """Throw away all that was made from received files, load them anew, build marts, publish.

    Killed in the middle, the next call goes on; so does any load. A mart that fails leaves its
    error in ``errors``. Exports ``without`` which to do it are marked as pruned, once the files of
    all others are found whole.

    Raises:
        ConfigurationError: nothing has landed.
        BadDataError: a received file is gone or changed; nothing is thrown away.
        MachineError: the disk is full; the published warehouse stays as it was.
    """
    files = [one for one in _landed_files(lake) if one[0].export_id not in without]
    with lake.only_one("load"):
        if without or not is_rebuild_promised(lake.folder.working_warehouse):
            _require_whole(lake, files, step)
            lake.ledger.mark_pruned(without, "newer complete exports hold all that is current")
            _throw_away(lake, files)
        loaded, _ = load_landed(lake, step)
        _build_and_publish(lake, errors, step)
    return loaded


def rebuild_table(lake: Lake, name: str, errors: list[EcwError], step: Step = silent) -> None:
    """Make one table's flat files and rows anew, current and closed ones; then marts, and publish.

    A table whose view fails keeps its rows, marked stale.

    Raises:
        ConfigurationError: there is no such table, or nothing has landed.
        BadDataError: a received file of its type is gone or changed.
        MachineError: the disk is full; the published warehouse stays as it was.
    """
    if name not in lake.tables:
        meant = get_close_matches(name, lake.tables, 1) or ["patient"]
        raise ConfigurationError(f"there is no table {name!r}", f"did you mean {meant[0]}?")
    files = _landed_files(lake, lake.tables[name].resource_type)
    with lake.only_one("load"):
        _require_whole(lake, files, step)
        with (
            working_warehouse(lake.folder.working_warehouse) as connection,
            transaction(connection),
        ):
            bookkeeping.mark_table(connection, name, "", "it is being built anew")
        _remove(lake.folder.flat_tables / name)
        load_landed(lake, step)
        _build_and_publish(lake, errors, step)


def _landed_files(lake: Lake, resource_type: str = "") -> list[_File]:
    """What every export that can be loaded brought; of one type, where it is named.

    Raises:
        ConfigurationError: there is nothing.
    """
    files = [
        (export, file)
        for export in (settled_exports(lake.ledger) if lake.folder.ledger.exists() else [])
        for file in lake.ledger.files(export.export_id)
        if file.state == "landed" and resource_type in ("", file.resource_type)
    ]
    if not files:
        raise ConfigurationError(
            f"no {resource_type or 'export'} has landed in {lake.folder.landing}",
            "fill it first: ecw export",
        )
    return files


def _require_whole(lake: Lake, files: Sequence[_File], step: Step) -> None:
    for number, (export, file) in enumerate(files, start=1):
        require_as_received(lake, export, file)
        step("check files", number, len(files))


def _throw_away(lake: Lake, files: Sequence[_File]) -> None:
    """Leave only what was received, what was refused of it, and the ledger."""
    for export, file in files:
        screened = paths_of(lake, export, file).screened
        with machine_errors(screened):
            screened.unlink(missing_ok=True)
    _remove(lake.folder.flat_tables)
    empty_warehouse(lake.folder.working_warehouse)
    promise_rebuild(lake.folder.working_warehouse)


def _remove(folder: Path) -> None:
    with machine_errors(folder):
        if folder.exists():
            shutil.rmtree(folder)


def _build_and_publish(lake: Lake, errors: list[EcwError], step: Step) -> None:
    built = replace_marts(lake, lake.marts.values(), errors)
    step("marts", len(built), len(lake.marts))
    publish_all(lake)
