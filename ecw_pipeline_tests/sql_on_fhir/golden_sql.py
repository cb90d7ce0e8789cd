"""Golden SQL: what the compiler makes of some built-in views, kept to see what a change does to it.

A few views stand for all: every shape of SQL is among them, and the others would repeat each
difference seventy times. Rewritten on request only: `make golden`, then read the diff.
"""

from pathlib import Path

from ecw_pipeline.sql_on_fhir.compiler import compile_view
from ecw_pipeline.view_definitions.catalog import built_in_views

FOLDER = Path(__file__).parent / "golden"
GOLDEN = (
    "patient",  # names put together, extensions, a choice of two
    "observation",  # every form of value[x], exact decimals, preferred codings
    "medication_request",  # deep paths, first of lists
    "condition_coding",  # a union of loops
    "observation_component",  # one loop, with its position
    "care_plan_activity_progress",  # a loop in a loop
    "patient_race",  # a loop over chosen extensions
)


def golden_path(name: str) -> Path:
    """Where a view's SQL is kept."""
    return FOLDER / f"{name}.sql"


def compiled_sql(name: str) -> str:
    """The table and the query of a built-in view, as the warehouse has it."""
    view = compile_view(built_in_views()[name], with_keys=True)
    query = view.select(view.from_ndjson([Path(f"{view.resource}.ndjson")]))
    return f"{view.create_table(name)};\n\n{query};\n"


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for stale in FOLDER.glob("*.sql"):
        stale.unlink()
    for name in GOLDEN:
        golden_path(name).write_text(compiled_sql(name), encoding="utf-8")
