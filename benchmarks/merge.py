"""What loading an increment costs, in CPU seconds, beside ten million Observations.

Builds a working warehouse of the built-in `observation` table, then loads into it: 1 % changed and
0.1 % deleted, among all or among the newest tenth, as they mostly are; a repetition of a part that
moves nothing; and thirty increments in a row. `publish` is measured beside `cp`, and the same
change beside delta-rs where `deltalake` is installed. Each figure has a process of its own.

    python -m benchmarks.merge --rows 10000000 --folder /tmp/merge
"""

import argparse
import multiprocessing
import resource
import shutil
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path

import duckdb

from ecw_pipeline.quoting import identifier, literal
from ecw_pipeline.stages.tables import all_tables
from ecw_pipeline.warehouse.bookkeeping import announce_load
from ecw_pipeline.warehouse.database import SESSION, transaction, working_warehouse
from ecw_pipeline.warehouse.merge import Moved, fold, refold_table
from ecw_pipeline.warehouse.parquet import write_parquet
from ecw_pipeline.warehouse.publish import publish
from ecw_pipeline.warehouse.schema import WarehouseTable
from ecw_pipeline.warehouse.version_files import version_file
from ecw_pipeline.warehouse.versions import DeletedResource, Incoming, ScreenedFile

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
SOURCE_FILE = "Observation/00000.ndjson"
MINUTE = "(TIMESTAMP '2015-01-01' + to_minutes((i * 7919) % 6000000))"
# What a laboratory result fills of the table; its other columns are empty.
FILLED = {
    "connection_id": "'practice'",
    "observation_id": "md5(i::VARCHAR)::UUID::VARCHAR",
    "patient_id": "md5((i % 40009)::VARCHAR || 'p')::UUID::VARCHAR",
    "encounter_id": "md5((i % 400009)::VARCHAR || 'e')::UUID::VARCHAR",
    "status": "'final'",
    "category_code": "'laboratory'",
    "category_system": "'http://terminology.hl7.org/CodeSystem/observation-category'",
    "code": "(i % 300)::VARCHAR || '-' || (i % 10)",
    "code_system": "'http://loinc.org'",
    "code_display": "'Test number ' || (i % 300)",
    "loinc_code": "(i % 300)::VARCHAR || '-' || (i % 10)",
    "subject_id": "md5((i % 40009)::VARCHAR || 'p')::UUID::VARCHAR",
    "subject_type": "'Patient'",
    "effective_date_time": f"strftime({MINUTE}, '%Y-%m-%dT%H:%M:%SZ')",
    "effective_at": f"{MINUTE}::TIMESTAMPTZ",
    "issued_at": f"{MINUTE}::TIMESTAMPTZ",
    "performer_id": "(i % 30)::VARCHAR",
    "value_type": "'Quantity'",
    "value_quantity": "((i * 31 + {round}) % 2000) / 10",
    "value_quantity_text": "(((i * 31 + {round}) % 2000) / 10)::VARCHAR",
    "value_unit": "'mg/dL'",
    "value_unit_code": "'mg/dL'",
    "component_count": "0",
    "meta_last_updated": "{updated}",
    "export_id": "{export}",
    "source_file": f"'{SOURCE_FILE}'",
    "source_line": "row_number() OVER ()",
}
# About what the JSON of such a result is long.
PADDING = "repeat('x', 800)"


@dataclass(frozen=True)
class Bench:
    """The folder everything is in, and how many Observations there are."""

    folder: Path
    rows: int

    @property
    def working(self) -> Path:
        return self.folder / "working.duckdb"

    def flat(self, export_id: str) -> Path:
        return self.folder / f"{export_id}.parquet"

    def screened(self, export_id: str) -> Path:
        return self.folder / f"{export_id}.ndjson"


def main() -> None:
    arguments = parsed_arguments()
    bench = Bench(arguments.folder, arguments.rows)
    bench.folder.mkdir(parents=True, exist_ok=True)
    if not bench.working.exists():
        alone(build, bench)
    for name, measure in MEASURES.items():
        if not arguments.only or name in arguments.only:
            for line, seconds, peak_mb in alone(measure, bench):
                print(f"{line:58} {seconds:7.2f} CPU-s {peak_mb:6.0f} MB resident at most")


def parsed_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--folder", type=Path, required=True, help="kept, to be used again")
    parser.add_argument("--only", nargs="*", choices=list(MEASURES), help="some of the figures")
    return parser.parse_args()


Figures = list[tuple[str, float, float]]


def alone(work: Callable[[Bench], Figures], bench: Bench) -> Figures:
    """Run in a fresh process, so that its memory is its own."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work, bench).result()


def figure(line: str, started: float) -> tuple[str, float, float]:
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return line, time.process_time() - started, peak_mb


def table() -> WarehouseTable:
    return all_tables(None)["observation"].in_warehouse


def write_export(bench: Bench, export_id: str, day: int, picked: str, number: int) -> None:
    """The flat and the screened file of an export of the Observations that ``picked`` names.

    ``number`` tells one content from another.
    """
    updated = (BEGIN + timedelta(days=day, hours=-1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    filled = {
        name: sql.format(round=number, updated=literal(updated), export=literal(export_id))
        for name, sql in FILLED.items()
    }
    columns = ", ".join(
        f"({filled.get(c.name, 'NULL')})::{c.sql_type} AS {identifier(c.name)}"
        for c in table().columns
    )
    with duckdb.connect() as connection:
        connection.execute(SESSION)
        rows = f"(SELECT i FROM range({bench.rows}) AS r(i) WHERE {picked})"
        write_parquet(connection, f"SELECT {columns} FROM {rows}", bench.flat(export_id), "v1")
        connection.execute(
            f"COPY (SELECT source_line AS ecw_line,"
            f" md5(observation_id || '{number}') AS ecw_hash, 'Observation' AS \"resourceType\","
            f" observation_id AS id, {{'lastUpdated': meta_last_updated}} AS meta,"
            f" {PADDING if day else 'NULL'} AS note FROM {literal(str(bench.flat(export_id)))})"
            f" TO {literal(str(bench.screened(export_id)))} (FORMAT json)"
        )
    version_file(bench.screened(export_id))  # as landing does


def load(
    bench: Bench, working: Path, export_id: str, day: int, deleted: Sequence[str] = ()
) -> Moved:
    incoming = Incoming(
        "practice",
        export_id,
        "Observation",
        BEGIN + timedelta(days=day),
        [ScreenedFile(bench.screened(export_id), SOURCE_FILE)],
        [DeletedResource(one, "deleted/00000.ndjson", n) for n, one in enumerate(deleted, 1)],
    )
    with working_warehouse(working) as connection, transaction(connection):
        announce_load(connection, incoming, {"lines_received": 0})
        return fold(connection, incoming, [(table(), {export_id: bench.flat(export_id)})])


def build(bench: Bench) -> Figures:
    write_export(bench, "all", 0, "true", 0)
    with working_warehouse(bench.working) as connection, transaction(connection):
        refold_table(connection, table(), [])
    started = time.process_time()
    load(bench, bench.working, "all", 0)
    return [figure("first load", started)]


def copy_of(bench: Bench) -> Path:
    path = bench.folder / "copy.duckdb"
    shutil.copy(bench.working, path)
    return path


def change(bench: Bench) -> Figures:
    return changed(bench, "change", "among all", "hash(i) % 100 = 7", "hash(i) % 1000 = 5")


def recent(bench: Bench) -> Figures:
    newest = f"i >= {bench.rows * 9 // 10} AND"
    picks = (f"{newest} hash(i) % 10 = 7", f"{newest} hash(i) % 100 = 5")
    return changed(bench, "recent", "among the newest tenth", *picks)


def changed(bench: Bench, export_id: str, where: str, picked: str, gone: str) -> Figures:
    """One in a hundred changed and one in a thousand deleted."""
    write_export(bench, export_id, 1, picked, 1)
    with duckdb.connect() as connection:
        rows = connection.execute(
            f"SELECT {FILLED['observation_id']} FROM range({bench.rows}) AS r(i) WHERE {gone}"
        ).fetchall()
    working = copy_of(bench)
    started = time.process_time()
    moved = load(bench, working, export_id, 1, [one for (one,) in rows])
    counts = f"{moved.resources_changed:,} changed, {moved.resources_deleted:,} deleted"
    return [figure(f"{counts}, {where}", started)]


def overlap(bench: Bench) -> Figures:
    write_export(bench, "overlap", 0, "i < 1000000", 0)
    working = copy_of(bench)
    started = time.process_time()
    moved = load(bench, working, "overlap", 2)
    return [figure(f"a million repeated, {moved.resources_changed:,} moved", started)]


def increments(bench: Bench) -> Figures:
    working, figures = copy_of(bench), []
    for day in range(1, 31):
        write_export(bench, "next", day, f"hash(i + {day}) % 100 = 7", day)
        started = time.process_time()
        load(bench, working, "next", day)
        figures.append(figure(f"1 % changed, increment {day}", started))
    dearest = max(figures, key=lambda one: one[1])
    return [figures[n - 1] for n in (1, 10, 20, 30)] + [
        (f"the dearest: {dearest[0]}", *dearest[1:])
    ]


def published(bench: Bench) -> Figures:
    started = time.process_time()
    shutil.copyfile(bench.working, bench.folder / "plain.duckdb")
    copied = figure("cp", started)
    started = time.process_time()
    publish(bench.working, bench.folder / "published.duckdb")
    return [copied, figure("publish", started)]


def delta(bench: Bench) -> Figures:
    if find_spec("deltalake") is None:
        return []
    import deltalake  # a peer, installed for this figure only
    import pyarrow.parquet

    folder = str(bench.folder / "delta")
    if not Path(folder).exists():
        deltalake.write_deltalake(folder, pyarrow.parquet.read_table(bench.flat("all")))
    source = pyarrow.parquet.read_table(bench.flat("change"))
    started = time.process_time()
    (
        deltalake.DeltaTable(folder)
        .merge(source, "t.observation_id = s.observation_id", source_alias="s", target_alias="t")
        .when_matched_update_all()
        .when_not_matched_insert_all()
        .execute()
    )
    return [figure("delta-rs: the same change, no deletes, no history", started)]


MEASURES = {
    "change": change,
    "recent": recent,
    "overlap": overlap,
    "increments": increments,
    "publish": published,
    "delta": delta,
}


if __name__ == "__main__":
    main()
