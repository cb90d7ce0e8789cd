"""The dictionary as one Markdown page."""

from collections.abc import Iterable, Iterator, Sequence

from ecw_pipeline.dictionary.contents import LANDED_ONLY, Column, Entry
from ecw_pipeline.dictionary.left_out import OF_EVERY_TYPE
from ecw_pipeline.marts.catalog import built_in_rules

_PREFACE = """# Tables

Every table of the warehouse. `make docs` writes this page from the views and marts;
[tables.html](tables.html) has the same tables, to search and to walk from table to table.

Tables of `core` hold what is current, their twins in `history` closed versions, with `valid_from`,
`valid_to` and `closed_by` besides. Each row says where it is from: `export_id`, `source_file`,
`source_line`; these, `connection_id` and `meta_last_updated` are in every table and not listed
again.
"""
_IN_NO_TABLE = f"""## What is in no table

The original resource has it: `ecw resource Type/id`. A ViewDefinition of your own makes a table of
it: see the README. In no table of any type are
{", ".join(f"`{name}`" for name in sorted(OF_EVERY_TYPE))}
of elements, but for the extensions that columns name, such as a patient's race. By rule, and so not
listed: the unit of a range is that of its low end, where that has one, and the words of a unit come
before its code; where a concept repeats, one without a code has its text in a table only as the
first; of attached data the tables say whether it is there, and `ecw attachments` brings it.
"""
EVERYWHERE = frozenset(
    ("connection_id", "meta_last_updated", "export_id", "source_file", "source_line")
)


def page(found: Sequence[Entry]) -> str:
    """The whole page."""
    parts = [_PREFACE, *_contents(found), *map(_section, found)]
    parts += [*_functions(), *_in_no_table(found), _landed_only()]
    return "\n".join(parts)


def _contents(found: Iterable[Entry]) -> Iterator[str]:
    yield "| table | rows |"
    yield "| --- | --- |"
    for one in found:
        yield f"| [{one.full_name}](#{one.schema}{one.name}) | {_cell(one.title)} |"
    yield ""


def _section(one: Entry) -> str:
    lines = [f"## {one.full_name}", "", one.description, ""]
    if one.key:
        lines += [f"Of `{one.resource}`. Key: {', '.join(f'`{name}`' for name in one.key)}.", ""]
    if one.reads:
        lines += [f"Reads {', '.join(f'`core.{name}`' for name in one.reads)}.", ""]
    if one.schema == "marts":
        lines += ["| column | type | meaning |", "| --- | --- | --- |"]
        lines += [*map(_meaning, one.columns), ""]
    elif told := [column for column in one.columns if column.name not in EVERYWHERE]:
        lines += ["| column | type | meaning | FHIRPath |", "| --- | --- | --- | --- |"]
        lines += [*map(_meaning_and_path, told), ""]
    return "\n".join(lines)


def _meaning_and_path(column: Column) -> str:
    path = f"`{_cell(column.path)}`" if column.path else ""
    return f"{_meaning(column)} {path} |"


def _meaning(column: Column) -> str:
    refers = f" → `core.{column.refers_to}`" if column.refers_to else ""
    return f"| `{column.name}` | {column.type} | {_cell(column.comment)}{refers} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _functions() -> Iterator[str]:
    yield "## Functions\n"
    yield "What marts decide alike, for queries of your own too; `as_of` is told of in"
    yield "[incremental.md](incremental.md).\n"
    yield "| function | tells |"
    yield "| --- | --- |"
    for rule in built_in_rules():
        yield f"| `{rule.signature}` | {_cell(rule.meaning)} |"
    yield ""


def _in_no_table(found: Iterable[Entry]) -> Iterator[str]:
    yield _IN_NO_TABLE
    yield "| resource type | JSON paths |"
    yield "| --- | --- |"
    for one in found:
        if one.left_out:
            yield f"| {one.resource} | {' '.join(f'`{path}`' for path in one.left_out)} |"
    yield ""


def _landed_only() -> str:
    names = ", ".join(f"`{name}`" for name in LANDED_ONLY)
    return (
        f"## Types without a table\n\n{names}, and every other type that a server offers and this"
        " page does not name, are landed as received\nand have no table. A ViewDefinition of your"
        " own makes one: see the README.\n"
    )
