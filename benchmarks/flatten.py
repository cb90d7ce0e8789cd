"""How fast a view becomes Parquet, in MB of NDJSON per CPU-second on one thread.

Measures our SQL and, in the same run on the same file, the usual formulation that joins unnested
lists (LEFT JOIN UNNEST). Absolutes drift with the machine; the ratio is the claim.

    python benchmarks/flatten.py --megabytes 200 ../shared/synthea/Observation.ndjson.gz
"""

import argparse
import gzip
import json
import multiprocessing
import re
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from decimal import Decimal
from pathlib import Path

import duckdb

from ecw_pipeline.sql_on_fhir.compiler import CompiledView, compile_view
from ecw_pipeline.sql_on_fhir.running import screened_line

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
    for name, (seconds, rows, peak_mb) in results.items():
        rate = size / seconds / 1e6
        print(f"{name:34} {rate:7.1f} MB/CPU-s {rows:>10,} rows {peak_mb:6.0f} MB resident at most")
    ours, theirs = results["with components"][0], results["the same by LEFT JOIN UNNEST"][0]
    print(f"ratio to LEFT JOIN UNNEST {theirs / ours:.1f}")


def parsed_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path, help="Observation NDJSON, plain or .gz")
    parser.add_argument("--megabytes", type=int, default=200, help="size of the repeated file")
    return parser.parse_args()


def repeated(source: Path, path: Path, size_bytes: int) -> int:
    """Write the source's lines, screened, again and again until the file is large enough."""
    opener = gzip.open if source.suffix == ".gz" else open
    with opener(source, "rt", encoding="utf-8") as stream:
        lines = [screened_line(json.loads(line, parse_float=Decimal)) for line in stream]
    block = "".join(
        re.sub(r"^\{", f'{{"ecw_line":{number},', line) + "\n" for number, line in enumerate(lines)
    ).encode()
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
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(measured, name, path, folder).result()


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
    """The same columns and components by joining unnested lists."""
    view = component_view()
    flat = main_view()
    inner = flat.select(view.from_ndjson([path])).replace("FROM", ', "component" FROM', 1)
    return (
        f"SELECT o.* EXCLUDE (component), c.unnest.code.coding[1].code AS component_code,"
        f' c.unnest."valueQuantity".value AS component_value FROM ({inner}) AS o'
        f" LEFT JOIN UNNEST(o.component) AS c ON true"
    )


def peak_memory_mb() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1_000_000 if sys.platform == "darwin" else 1_000)


VARIANTS: dict[str, Callable[[Path], str]] = {
    "main table": lambda path: ours_sql(main_view(), path),
    "with components": lambda path: ours_sql(component_view(), path),
    "the same by LEFT JOIN UNNEST": joined_sql,
}


if __name__ == "__main__":
    main()
