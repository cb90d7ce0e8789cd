"""What the files of the user's folder give: a view each, or a table that says what is wrong."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from ecw_pipeline.errors import ConfigurationError
from ecw_pipeline.stages.tables import Table, all_tables, why_uncompilable
from ecw_pipeline.view_definitions.catalog import LONGEST_NAME

BUILT_IN = all_tables(None)


def view(name: object = "mine", resource: object = "Patient", column: str = "answer") -> bytes:
    return json.dumps(
        {
            "resourceType": "ViewDefinition",
            "name": name,
            "resource": resource,
            "select": [{"column": [{"name": column, "path": "id"}]}],
        }
    ).encode()


def own_tables(folder: Path, **files: bytes) -> dict[str, Table]:
    """The tables that files (without their ``.json``) give."""
    for stem, text in files.items():
        (folder / f"{stem}.json").write_bytes(text)
    return {name: table for name, table in all_tables(folder).items() if table.own}


def without_name() -> bytes:
    document: dict[str, Any] = json.loads(view())
    del document["name"]
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"{", "is not JSON: Expecting property name"),
        (b"", "is not JSON: Expecting value"),
        (b"\xff\xfe", "is not UTF-8 text → save it as UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b"1" * 5000, "a number too long"),
        (b"null", "holds no ViewDefinition → it needs name, resource and select"),
        (b"[]", "holds no ViewDefinition"),
        (b'{"name": "patient", "version": "1.0.0"}', "holds no ViewDefinition"),
        (without_name(), 'lacks a name → add "name"'),
        (view(5), "lacks a name"),
        (view(""), "lacks a name"),
        (view("Mine"), "names its table 'Mine' → use lower-case letters"),
        (view("PATIENT"), "names its table 'PATIENT' → use lower-case letters"),
        (view("two words"), "use lower-case letters"),
        (view("../../etc/passwd"), "use lower-case letters"),
        (view('a"; DROP TABLE patient'), "use lower-case letters"),
        (view("größe"), "use lower-case letters"),
        (view("1st"), "a letter first"),
        (view("mine\n"), "use lower-case letters"),
        (view("m" * (LONGEST_NAME + 1)), f"{LONGEST_NAME} at most"),
        (view("observation"), "the built-in table of Observation → give it another name"),
        (view("patient", resource=None), "the built-in table of Patient"),
        (view().replace(b'"answer"', b'"\\ud800"'), "half a surrogate pair"),
    ],
)
def test_a_file_that_gives_no_table_is_one_that_says_why(
    tmp_path: Path, text: bytes, says: str
) -> None:
    (table,) = own_tables(tmp_path, wrong=text).values()

    assert table.name == "wrong"
    assert why_uncompilable(table).startswith(str(tmp_path / "wrong.json"))
    assert says in why_uncompilable(table)
    assert " → " in why_uncompilable(table)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (view(resource="Pateint"), "did you mean `Patient`?"),
        (view(resource=["Patient"]), "resource: expected text"),
        (view(resource="Foo/Bar"), "not a resource type of R4"),
        (view(column="connection_id"), "column connection_id is reserved"),
        (view(column="EXPORT_ID"), "column EXPORT_ID is reserved"),
        (view(column="valid_from"), "column valid_from is reserved"),
        (view(column="patient_id"), "column patient_id is injected"),
        (view(column="source_line"), "column source_line is injected"),
        (view().replace(b'"id"', b'"id.frist()"'), "did you mean `first`?"),
        (b'{"resourceType": "ViewDefinition", "name": "mine"}', "select"),
    ],
)
def test_a_view_that_cannot_be_compiled_keeps_its_name_and_names_its_file(
    tmp_path: Path, text: bytes, says: str
) -> None:
    (table,) = own_tables(tmp_path, any=text).values()

    assert table.name == "mine"
    assert why_uncompilable(table).startswith(f"{tmp_path / 'any.json'}: view mine cannot be")
    assert says in why_uncompilable(table)
    assert why_uncompilable(table).endswith(
        "→ mend the file and load again: nothing is fetched anew for it"
    )


def test_no_file_stops_another_or_a_built_in_table(tmp_path: Path) -> None:
    own = own_tables(tmp_path, broken=b"{", fine=view(), twin_a=view("twin"), twin_b=view("twin"))

    assert why_uncompilable(own["mine"]) == ""
    tables = all_tables(tmp_path)
    assert {name: tables[name] for name in BUILT_IN} == BUILT_IN


def test_a_folder_or_a_link_to_nowhere_in_a_files_place_is_told(tmp_path: Path) -> None:
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "link.json").symlink_to(tmp_path / "nowhere")
    own = own_tables(tmp_path)

    assert "folder.json cannot be read: Is a directory" in why_uncompilable(own["folder"])
    assert "link.json cannot be read: No such file" in why_uncompilable(own["link"])


def test_what_systems_and_editors_leave_in_the_folder_is_no_view(tmp_path: Path) -> None:
    for name in ("._mine.json", ".#mine.json", "mine.json~", "mine.json.swp", "README.md"):
        (tmp_path / name).write_bytes(b"{")

    assert own_tables(tmp_path) == {}


def test_two_files_of_one_name_refuse_each_other(tmp_path: Path) -> None:
    (table,) = own_tables(tmp_path, a=view(), b=view(), c=view()).values()

    said = why_uncompilable(table)
    assert [name for name in "abc" if str(tmp_path / f"{name}.json") in said] == ["a", "b", "c"]
    assert said.endswith("all name their table mine → give each a name of its own")


@pytest.mark.parametrize(
    ("stem", "table"),
    [
        ("My Views (v2)", "my_views_v2"),
        ("2024", "view_2024"),
        ("例", "view"),
        ("__", "view"),
        ("x" * 100, "x" * LONGEST_NAME),
    ],
)
def test_a_file_without_a_usable_name_lends_its_own(tmp_path: Path, stem: str, table: str) -> None:
    assert list(own_tables(tmp_path, **{stem: b"{"})) == [table]


def test_names_lent_by_files_are_never_taken_from_another(tmp_path: Path) -> None:
    own = own_tables(tmp_path, mine=b"{", other=view("mine"), mine_2=view("PATIENT"), goal=view(5))

    assert {name: Path(table.own.file).name for name, table in own.items() if table.own} == {
        "mine": "other.json",
        "mine_2": "mine.json",
        "mine_2_2": "mine_2.json",
        "goal_2": "goal.json",
    }


def test_a_file_name_that_is_no_text_is_told_as_text(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/\xff.json"
    Path(os.fsdecode(path)).write_bytes(b"{")

    (table,) = own_tables(tmp_path).values()

    assert f"{tmp_path}/?.json is not JSON" in why_uncompilable(table)
    table.origin.encode()


def test_a_view_of_a_built_in_tables_name_and_type_takes_its_place(tmp_path: Path) -> None:
    own_tables(tmp_path, any=view("patient"))
    table = all_tables(tmp_path)["patient"]

    assert table.is_override
    assert table.origin == f"{tmp_path / 'any.json'}, in place of the built-in view"
    assert [c.name for c in table.in_warehouse.columns][2:3] == ["answer"]


def test_a_file_that_cannot_be_read_may_be_the_one_that_took_a_built_in_tables_place(
    tmp_path: Path,
) -> None:
    table = own_tables(tmp_path, patient=b"{")["patient"]

    assert table.is_override
    assert "patient.json is not JSON" in why_uncompilable(table)


def test_without_the_folder_nothing_is_guessed(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="ECW_VIEW_DEFINITIONS"):
        all_tables(tmp_path / "nowhere")
