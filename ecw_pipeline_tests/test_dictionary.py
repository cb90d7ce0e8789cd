"""The dictionary says what there is, and leads nowhere that is not there."""

import json
import re
from pathlib import Path

import pytest

from ecw_pipeline.dictionary import html, troubles
from ecw_pipeline.dictionary.__main__ import pages
from ecw_pipeline.dictionary.contents import Entry, entries
from ecw_pipeline.marts.catalog import built_in_marts
from ecw_pipeline.stages.tables import all_tables

DOCS = Path(__file__).parents[1] / "docs"
PAGES = pages()
ENTRIES = entries(all_tables(None), built_in_marts())
DATA = re.compile(r"const DATA = (.*);\n")


@pytest.mark.parametrize("name", ["tables.md", "tables.html", "troubleshooting.md"])
def test_the_pages_are_those_of_the_code(name: str) -> None:
    assert (DOCS / name).read_text("utf-8") == PAGES[name], "stale: run make docs"


def test_every_table_and_mart_is_an_entry() -> None:
    names = {one.full_name for one in ENTRIES}

    assert names == {f"core.{name}" for name in (*all_tables(None), "attachment")} | {
        f"marts.{name}" for name in built_in_marts()
    }


def test_every_column_of_the_warehouse_is_described() -> None:
    described = {one.name: [column.name for column in one.columns] for one in ENTRIES}

    for name, table in all_tables(None).items():
        assert described[name] == [column.name for column in table.in_warehouse.columns]
    assert [c.name for one in ENTRIES for c in one.columns if not c.comment] == []


def test_no_mart_tells_of_a_column_that_it_has_not() -> None:
    columns = {one.name: {c.name for c in one.columns} for one in ENTRIES}
    everywhere = {"connection_id", "patient_id"}

    for name, mart in built_in_marts().items():
        assert mart.meanings.keys() - everywhere <= columns[name]


def test_what_is_referred_to_is_there() -> None:
    names = {one.name for one in ENTRIES}
    targets = {(one.name, c.name): c.refers_to for one in ENTRIES for c in one.columns}

    assert {name for name in targets.values() if name} <= names
    assert targets["observation", "patient_id"] == "patient"
    assert targets["observation_component", "observation_id"] == "observation"
    assert targets["hba1c_latest_per_patient", "observation_id"] == "observation"
    assert {name for one in ENTRIES for name in one.reads} <= names


def test_the_page_needs_nothing_from_outside() -> None:
    page = PAGES["tables.html"]

    assert re.findall(r"""(?:src|href)=["'][^"'#]""", page) == []
    assert "@import" not in page


def test_no_text_ends_the_script_it_stands_in() -> None:
    evil = Entry("core", "x", "</script><script>alert(1)</script>", "")

    page = html.page([evil])

    assert page.count("</script>") == 1
    (data,) = DATA.findall(page)
    assert json.loads(data)["entries"][0]["title"] == evil.title


def test_every_error_says_why_and_what_to_do() -> None:
    rows = re.findall(r"^\| (.*) \| (.*) \| (.*) \|$", PAGES["troubleshooting.md"], re.MULTILINE)
    said = [row for row in rows if row[0] not in ("what it says", "---")]

    assert len(said) > 150
    assert [row for row in said if not all(cell.strip() for cell in row)] == []


def test_no_cause_is_told_of_an_error_that_there_is_not() -> None:
    raised = {(kind, one.message) for kind, known in troubles.troubles().items() for one in known}
    told = {(kind, message) for kind, known in troubles.causes().items() for message in known}

    assert told - raised == set()


def test_an_error_is_read_with_the_names_of_what_it_puts_in() -> None:
    page = PAGES["troubleshooting.md"]

    assert "| there is no warehouse at ‹path› | nothing was loaded yet, or ECW_DATA" in page
    assert "## Exit code 4:" in page
    assert (
        "an export of ‹connection id› is under way that brings less" in page
    )  # of a kind of its own
    assert "‹path› is no JWK Set: ‹name›" in page  # worded before it is raised
