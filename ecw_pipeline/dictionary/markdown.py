"""The dictionary as one Markdown page."""

from collections.abc import Iterable, Iterator, Sequence

from ecw_pipeline.dictionary.contents import LANDED_ONLY, Column, Entry

_PREFACE = """# Tables

Every table of the warehouse. `make docs` writes this page from the views and marts;
[tables.html](tables.html) has the same, to search and to walk from table to table.

Tables of `core` hold what is current, their twins in `history` closed versions, with `valid_from`,
`valid_to` and `closed_by` besides. Each row says where it is from: `export_id`, `source_file`,
`source_line`; these, `connection_id` and `meta_last_updated` are in every table and not listed
again.
"""
EVERYWHERE = frozenset(
    ("connection_id", "meta_last_updated", "export_id", "source_file", "source_line")
)


def page(found: Sequence[Entry]) -> str:
    """The whole page."""
    parts = [_PREFACE, *_contents(found), *map(_section, found), _landed_only()]
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
    if told := [column for column in one.columns if column.name not in EVERYWHERE]:
        lines += ["| column | type | meaning | FHIRPath |", "| --- | --- | --- | --- |"]
        lines += [*map(_row, told), ""]
    return "\n".join(lines)


def _row(column: Column) -> str:
    refers = f" → `core.{column.refers_to}`" if column.refers_to else ""
    path = f"`{_cell(column.path)}`" if column.path else ""
    return f"| `{column.name}` | {column.type} | {_cell(column.comment)}{refers} | {path} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _landed_only() -> str:
    names = ", ".join(f"`{name}`" for name in LANDED_ONLY)
    return (
        f"## Types without a table\n\n{names}, and every other type that a server offers and this"
        " page does not name, are landed as received\nand have no table. A ViewDefinition of your"
        " own makes one: see the README.\n"
    )
