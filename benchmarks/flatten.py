"""How fast a view becomes Parquet, in MB of NDJSON per CPU-second on one thread.

Measures our SQL and, in the same run on the same file, the usual formulation that joins unnested
lists (LEFT JOIN UNNEST), as flatquack publishes it; then a received file as the pipeline takes it,
screening and all built-in tables of the type; then importing the compiler and compiling all
built-in views. Absolutes drift with the machine; the ratio is the claim.

    python benchmarks/flatten.py --megabytes 200 ../shared/synthea/Observation.ndjson.gz
"""

import argparse
import gzip
import json
import multiprocessing
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import ParamSpec, TypeVar

import duckdb

from ecw_pipeline.landing.landing import LandingPaths, screen_file
from ecw_pipeline.sql_on_fhir.compiler import CompiledView, compile_view
from ecw_pipeline.sql_on_fhir.running import screened_line
from ecw_pipeline.stages.flattening_together import Lines, Wanted, write_together
from ecw_pipeline.stages.tables import all_tables, tables_of
from ecw_pipeline.view_definitions.catalog import built_in_views

P = ParamSpec("P")
T = TypeVar("T")

COLUMNS = {
    "status": "status",
    "category": "category.first().coding.first().code",
    "category_display": "category.first().coding.first().display",
    "code": "code.coding.first().code",
    "code_system": "code.coding.first().system",
    "code_display": "code.coding.first().display",
    "code_text": "code.text",
    "loinc": "code.coding.where(system = 'http://loinc.org').code.first()",
    "effective": "effective.ofType(dateTime)",
    "issued": "issued",
    "value_text": "value.ofType(Quantity).value",
    "value_unit": "value.ofType(Quantity).unit",
    "value_code": "value.ofType(Quantity).code",
    "value_string": "value.ofType(string)",
    "value_concept": "value.ofType(CodeableConcept).coding.first().code",
    "value_concept_text": "value.ofType(CodeableConcept).text",
    "interpretation": "interpretation.first().coding.first().code",
    "body_site": "bodySite.coding.first().code",
    "method": "method.text",
    "profile": "meta.profile.first()",
}
COMPONENTS = {
    "component_code": "code.coding.first().code",
    "component_value": "value.ofType(Quantity).value",
}


def main() -> None:
    arguments = parsed_arguments()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "observation.ndjson"
        size = repeated(arguments.source, path, arguments.megabytes * 1_000_000)
        results = {name: alone(name, path, folder) for name in VARIANTS}
        path.unlink()
        whole = in_own_process(whole_type, arguments.source, arguments.megabytes, folder)
    imported, compiled, views = in_own_process(start_up)
    for name, (seconds, rows, peak_mb) in results.items():
        rate = size / seconds / 1e6
        print(f"{name:34} {rate:7.1f} MB/CPU-s {rows:>10,} rows {peak_mb:6.0f} MB resident at most")
    ours, theirs = results["with components"][0], results["the same by LEFT JOIN UNNEST"][0]
    print(f"ratio to LEFT JOIN UNNEST {theirs / ours:.1f}")
    for line in whole:
        print(line)
    print(f"import the compiler {imported:.2f} CPU-s, compile {views} views {compiled:.2f} CPU-s")


def parsed_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path, help="Observation NDJSON, plain or .gz")
    parser.add_argument("--megabytes", type=int, default=200, help="size of the repeated file")
    return parser.parse_args()


def repeated(source: Path, path: Path, size_bytes: int) -> int:
    """Write the source's lines, screened, again and again until the file is large enough."""
    lines = [
        screened_line(json.loads(line, parse_float=Decimal))
        for line in unpacked(source).splitlines()
    ]
    block = "".join(
        re.sub(r"^\{", f'{{"ecw_line":{number},', line) + "\n" for number, line in enumerate(lines)
    ).encode()
    return written_again(block, path, size_bytes)


def unpacked(source: Path) -> bytes:
    data = source.read_bytes()
    return gzip.decompress(data) if source.suffix == ".gz" else data


def written_again(block: bytes, path: Path, size_bytes: int) -> int:
    written = 0
    with path.open("wb") as out:
        while written < size_bytes:
            written += out.write(block)
    return written


def main_view() -> CompiledView:
    columns = [{"name": name, "path": path} for name, path in COLUMNS.items()]
    view = {"name": "observation", "resource": "Observation", "select": [{"column": columns}]}
    return compile_view(view, with_keys=True)


def component_view() -> CompiledView:
    columns = [{"name": name, "path": path} for name, path in COLUMNS.items()]
    components = [{"name": name, "path": path} for name, path in COMPONENTS.items()]
    selects = [{"column": columns}, {"forEachOrNull": "component", "column": components}]
    return compile_view(
        {"name": "observation", "resource": "Observation", "select": selects}, with_keys=True
    )


def alone(name: str, path: Path, folder: str) -> tuple[float, int, float]:
    """One variant in a process of its own, so that its memory is its own."""
    return in_own_process(measured, name, path, folder)


def in_own_process(work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(work, *arguments, **named).result()


def measured(name: str, path: Path, folder: str) -> tuple[float, int, float]:
    seconds, rows = measured_sql(VARIANTS[name](path), folder)
    return seconds, rows, peak_memory_mb()


def ours_sql(view: CompiledView, path: Path) -> str:
    return view.select(view.from_ndjson([path]))


def measured_sql(sql: str, folder: str) -> tuple[float, int]:
    """CPU seconds and rows of one streaming COPY on one thread."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'; SET threads = 1; SET enable_progress_bar = false")
        started = time.process_time()
        target = Path(folder) / "out.parquet"
        done = connection.execute(f"COPY ({sql}) TO '{target}' (FORMAT parquet, COMPRESSION zstd)")
        row = done.fetchone()
        return time.process_time() - started, row[0] if row else 0


def joined_sql(path: Path) -> str:
    """The same columns and components as flatquack writes them, with our expressions for values.

    It makes a struct of each resource, its repeats as lists of structs in it, and joins these.
    """
    flat = main_view().select(component_view().from_ndjson([path]))
    inner = flat.replace(
        "FROM",
        """, list_transform(component, lambda el: {
      'component_code': el.code.coding[1].code, 'component_value': el."valueQuantity".value
    }) AS components FROM""",
        1,
    )
    columns = [f"result.{column.name}" for column in main_view().columns]
    columns += [f"l_1.components.{name}" for name in COMPONENTS]
    return (
        f"SELECT {', '.join(columns)} FROM (SELECT o AS result FROM ({inner}) AS o)"
        f" LEFT JOIN UNNEST(result.components) AS l_1(components) ON TRUE"
    )


def peak_memory_mb() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1_000_000 if sys.platform == "darwin" else 1_000)


def whole_type(source: Path, megabytes: int, folder: str) -> list[str]:
    """Screening a received file, and every built-in Observation table of it, from one reading."""
    paths = LandingPaths(Path(folder), "Observation/00000.ndjson")
    paths.received.parent.mkdir()
    size = written_again(unpacked(source), paths.received, megabytes * 1_000_000)
    tables = tables_of(all_tables(None), "Observation")
    wanted = [Wanted(table, Path(folder) / f"{table.name}.parquet", "v1") for table in tables]
    lines = Lines("practice", "export", [(paths.source_file, paths.screened)])
    started = time.process_time()
    screen_file(paths, "Observation")
    seconds = {"screening": time.process_time() - started}
    rows = write_together(wanted, lines, Path(folder) / "part.ndjson")
    seconds["screening and all tables"] = time.process_time() - started
    text = [f"{name:34} {size / s / 1e6:7.1f} MB/CPU-s" for name, s in seconds.items()]
    return [*text, f"  {len(rows)} tables, {peak_memory_mb():.0f} MB resident at most"]


def start_up() -> tuple[float, float, int]:
    """CPU seconds to import the compiler in a fresh Python, and to compile the built-in views."""
    code = "import time; import ecw_pipeline.sql_on_fhir.compiler; print(time.process_time())"
    empty = "import time; print(time.process_time())"
    imported, before = (
        float(subprocess.check_output([sys.executable, "-c", text])) for text in (code, empty)
    )
    views = built_in_views()
    started = time.process_time()
    for view in views.values():
        compile_view(view, with_keys=True)
    return imported - before, time.process_time() - started, len(views)


VARIANTS: dict[str, Callable[[Path], str]] = {
    "main table": lambda path: ours_sql(main_view(), path),
    "with components": lambda path: ours_sql(component_view(), path),
    "the same by LEFT JOIN UNNEST": joined_sql,
}


if __name__ == "__main__":
    main()
