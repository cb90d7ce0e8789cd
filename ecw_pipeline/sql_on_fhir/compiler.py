"""The front door: a ViewDefinition in, DuckDB SQL out.

    view = compile_view(json.loads(text))
    view.create_table("core.patient")
    view.select(view.from_ndjson([path]))

Numbers in the lines that are read must have been screened: those under `decimal_keys` quoted, so
that FHIR's exact decimals survive DuckDB's JSON reader. `run_view` does that itself.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ecw_pipeline.errors import UnsupportedViewError
from ecw_pipeline.quoting import identifier, literal, qualified
from ecw_pipeline.sql_on_fhir.common_reading import CommonReading
from ecw_pipeline.sql_on_fhir.keys import LINE_KEY, key_columns, reserved_names
from ecw_pipeline.sql_on_fhir.layout import select_sql
from ecw_pipeline.sql_on_fhir.plan import Plan, PlannedColumn, Planner, columns_of
from ecw_pipeline.sql_on_fhir.problems import Problems, ViewError
from ecw_pipeline.sql_on_fhir.running import ViewResult, run_compiled, unfit_data
from ecw_pipeline.sql_on_fhir.view_definition import ViewDefinition, read_view

__all__ = [
    "MAXIMUM_LINE_BYTES",
    "Column",
    "CompiledView",
    "ViewError",
    "ViewResult",
    "common_columns",
    "compile_view",
    "ndjson_relation",
    "run_view",
    "unfit_data",
]

# DuckDB's own limit; each reading thread keeps twice this in memory.
MAXIMUM_LINE_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True)
class Column:
    """One column of the table; ``fhir_type`` is None where FHIR has no word for it."""

    name: str
    sql_type: str
    description: str
    is_nullable: bool
    fhir_type: str | None
    path: str

    @property
    def is_exact_decimal(self) -> bool:
        """Whether it holds FHIR's own text of decimals."""
        return self.fhir_type == "decimal" and "VARCHAR" in self.sql_type


@dataclass(frozen=True)
class CompiledView:
    """A view as a table's definition and as the SQL that fills it.

    Args:
        read_columns: top-level element to DuckDB type, only those the view touches.
        warnings: what is allowed but probably not meant, such as an unknown element.
    """

    name: str
    title: str
    description: str
    resource: str
    columns: tuple[Column, ...]
    read_columns: Mapping[str, str]
    warnings: tuple[str, ...]
    plan: Plan

    def create_table(self, table: str) -> str:
        """The empty table, known from the view alone."""
        lines = [
            f"  {identifier(c.name)} {c.sql_type}{'' if c.is_nullable else ' NOT NULL'}"
            for c in self.columns
        ]
        return f"CREATE TABLE {qualified(table)} (\n" + ",\n".join(lines) + "\n)"

    def comments(self, table: str) -> list[str]:
        """One statement per comment: the table's, and each described column's."""
        name = qualified(table)
        text = self.description or self.title
        found = [f"COMMENT ON TABLE {name} IS {literal(text)}"] if text else []
        return found + [
            f"COMMENT ON COLUMN {name}.{identifier(c.name)} IS {literal(c.description)}"
            for c in self.columns
            if c.description
        ]

    def select(self, source: str) -> str:
        """The table's rows, from any relation with `read_columns`."""
        return select_sql(self.plan, source)

    def from_ndjson(
        self, paths: Sequence[Path], *, maximum_line_bytes: int = MAXIMUM_LINE_BYTES
    ) -> str:
        """The relation to give to `select`: screened NDJSON files, also .gz and .zst."""
        return ndjson_relation(paths, self.read_columns, maximum_line_bytes)


def ndjson_relation(
    paths: Sequence[Path],
    columns: Mapping[str, str],
    maximum_line_bytes: int = MAXIMUM_LINE_BYTES,
) -> str:
    """Screened NDJSON files as a relation with these columns."""
    files = ", ".join(literal(str(path)) for path in paths)
    types = ",\n".join(f"    {literal(name)}: {literal(kind)}" for name, kind in columns.items())
    return (
        f"read_json(\n  [{files}],\n  format = 'newline_delimited',\n"
        f"  maximum_object_size = {int(maximum_line_bytes)},\n  columns = {{\n{types}\n  }}\n)"
    )


def common_columns(views: Iterable[CompiledView]) -> tuple[dict[str, str], list[CompiledView]]:
    """The columns of one reading of lines for several views, and those views it is for.

    The first is always among them; any other only if what it wants goes together with that.
    """
    reading = CommonReading()
    taken = [view for view in views if reading.takes(view.plan)]
    return reading.columns, taken


def compile_view(view: Mapping[str, Any], *, with_keys: bool = False) -> CompiledView:
    """Compile a ViewDefinition.

    Args:
        with_keys: add the pipeline's key columns (see `keys`) around the view's own.

    Raises:
        ViewError: what is wrong with the view, all of it, with places.
    """
    problems = Problems()
    definition = read_view(view, problems)
    name = definition.name
    try:
        planner = Planner(definition, problems)
        plan = planner.plan()
        if with_keys and not problems.found:
            plan = _with_keys(plan, planner, definition, problems)
        problems.raise_any(name)
        select_sql(plan, "anything")  # what cannot be written is refused now, not at run time
        return _compiled(definition, plan, problems)
    except RecursionError as error:
        raise UnsupportedViewError(f"view {name}: nested too deeply") from error


def run_view(view: Mapping[str, Any], resources: Any) -> ViewResult:
    """The rows of a view over resources in memory, decimals exact.

    Raises:
        ViewError: the view cannot be compiled.
        UnsupportedViewError: it gives several values where its column takes one.
    """
    compiled = compile_view(view)
    decimals = [column.name for column in compiled.columns if column.is_exact_decimal]
    return run_compiled(compiled, resources, compiled.resource, decimals)


def _with_keys(
    plan: Plan, planner: Planner, definition: ViewDefinition, problems: Problems
) -> Plan:
    keys = key_columns(definition.resource)
    for column in columns_of(plan.rows):
        if column.name.lower() in reserved_names(definition.resource):
            why = "injected by the pipeline" if column.name in keys.injected else "reserved"
            message = f"column {column.name} is {why}: leave it out or rename it"
            problems.add(column.definition.where, message)
    before = tuple(planner.key_column(key, is_nullable=n > 0) for n, key in enumerate(keys.before))
    after = (
        planner.key_column(keys.last_updated, is_nullable=True),
        planner.line_column(keys.line, LINE_KEY),
    )
    last = replace(plan.rows, columns=after, parts=())
    rows = replace(plan.rows, columns=before, parts=(*plan.rows.parts, last))
    return replace(plan, rows=rows)


def _compiled(definition: ViewDefinition, plan: Plan, problems: Problems) -> CompiledView:
    shape = plan.root.shape
    read = {name: child.sql_type for name, child in shape.children.items()}
    return CompiledView(
        definition.name,
        definition.title,
        definition.description,
        definition.resource,
        tuple(_column(column) for column in columns_of(plan.rows)),
        read or {"id": "VARCHAR"},
        tuple(map(str, problems.warnings)),
        plan,
    )


def _column(column: PlannedColumn) -> Column:
    definition = column.definition
    return Column(
        column.name,
        column.sql_type,
        definition.description,
        column.is_nullable,
        column.fhir_type,
        definition.path,
    )
