"""`ecw view` as its user meets it: what it prints, where it writes, what it refuses."""

import csv
import gzip
import io
import json
import os
import sys
import tempfile
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet
import pytest

from ecw_pipeline.cli.app import main
from ecw_pipeline.cli.view_run import TABLE_ROWS
from ecw_pipeline.sql_on_fhir.compiler import run_view
from ecw_pipeline_tests.builders import mode_of, names_below
from ecw_pipeline_tests.cli.command import Finished, Place

Ecw = Callable[..., Finished]

VIEW: dict[str, Any] = {
    "resourceType": "ViewDefinition",
    "name": "measured",
    "description": "What was measured",
    "resource": "Observation",
    "select": [
        {
            "column": [
                {"name": "id", "path": "id", "description": "it's FHIR's"},
                {"name": "value", "path": "value.ofType(Quantity).value"},
                {"name": "issued", "path": "issued"},
                {"name": "codes", "path": "code.coding.code", "collection": True},
                {"name": "code", "path": "code"},
                {"name": "is_final", "path": "status = 'final'"},
                {
                    "name": "rounded",
                    "path": "value.ofType(Quantity).value",
                    "tag": [{"name": "ansi/type", "value": "DECIMAL(30,4)"}],
                },
            ]
        }
    ],
}
NAMES = ["id", "value", "issued", "codes", "code", "is_final", "rounded"]
DIGITS = "12345678901234567890.10"
ROUNDED = "12345678901234567890.1000"
HEIGHT: dict[str, Any] = {
    "resourceType": "Observation",
    "id": "height",
    "status": "final",
    "issued": "2024-01-15T10:00:00.250+02:00",
    "code": {"coding": [{"code": "8302-2"}, {"code": "a,b"}]},
    "valueQuantity": {"value": 0.5},
}
BARE = {"resourceType": "Observation", "id": "bare", "status": "amended", "code": {"text": "x"}}
PATIENT = {"resourceType": "Patient", "id": "ann"}


@pytest.fixture
def ecw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ecw:
    """The command in this process, on 80 columns, its temporary files in ``tmp``."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    monkeypatch.setenv("COLUMNS", "80")

    def run(*words: object) -> Finished:
        monkeypatch.setattr(sys, "argv", ["ecw", "view", *map(str, words)])
        mask = os.umask(0o077)
        try:
            with pytest.raises(SystemExit) as ended:
                main()
        finally:
            os.umask(mask)
        said = capsys.readouterr()
        return Finished(int(ended.value.code or 0), said.out, said.err, ())

    return run


def view_file(folder: Path, view: Any, name: str = "view.json") -> Path:
    path = folder / name
    path.write_text(view if isinstance(view, str) else json.dumps(view), encoding="utf-8")
    return path


def view_of(resource: str, **paths: str) -> dict[str, Any]:
    columns = [{"name": name, "path": path} for name, path in paths.items()]
    return {"name": "tried", "resource": resource, "select": [{"column": columns}]}


def lines_file(folder: Path, *lines: dict[str, Any] | bytes, name: str = "lines.ndjson") -> Path:
    """Lines as a server sends them, numbers with all of their digits."""
    texts = [ln if isinstance(ln, bytes) else json.dumps(ln).encode() for ln in lines]
    content = b"\n".join(text.replace(b"0.5", DIGITS.encode()) for text in texts)
    path = folder / name
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return path


# --- check ------------------------------------------------------------------------------------


def test_views_that_compile_are_named_with_type_and_columns(ecw: Ecw, tmp_path: Path) -> None:
    view_file(tmp_path, VIEW, "a.json")
    view_file(tmp_path, view_of("Patient", id="id") | {"name": None}, "b.json")

    ended = ecw("check", tmp_path)

    assert (
        ended.stdout == "ok  measured  (Observation, 7 columns)\nok  b.json  (Patient, 1 columns)\n"
    )
    assert (ended.exit_code, ended.stderr) == (0, "")


def test_all_that_is_wrong_is_told_at_once_and_the_next_view_is_checked(
    ecw: Ecw, tmp_path: Path
) -> None:
    bad = view_file(tmp_path, view_of("Observation", a="code.frist()", b="statuss", c="1 +"))
    good = view_file(tmp_path, VIEW, "good.json")

    ended = ecw("check", bad, good)

    assert ended.exit_code == 7
    assert ended.stdout.splitlines() == [
        f"failed  {bad}",
        "view tried cannot be compiled:",
        "- select[0].column[0].path: unknown function frist() (did you mean `first`?)",
        "    code.frist()",
        "         ^",
        "- select[0].column[2].path: expected a value or a name but found the end of the path",
        "    1 +",
        "       ^",
        "- warning: select[0].column[1].path: `statuss` is not an element of Observation, so it is"
        " always empty (did you mean `status`?)",
        "    statuss",
        "    ^",
        "ok  measured  (Observation, 7 columns)",
    ]
    assert ended.stderr.startswith("error: 1 of 2 views cannot be compiled\n  next: ")


def typed(declared: str) -> dict[str, Any]:
    column = {"name": "born", "path": "birthDate", "type": declared}
    return {"resource": "Patient", "select": [{"column": [column]}]}


@pytest.mark.parametrize(
    ("view", "says"),
    [
        (
            '{"name": "x",\n "select": [,]}',
            '- line 2: not JSON: Expecting value\n     "select": [,',
        ),
        ("", "- line 1: not JSON: "),
        ('{"name": "a", "name": "b"}', '- "name" stands twice in one object\n'),
        ("[" * 100_000, "- nested too deeply\n"),
        ("[]", "expected a JSON object"),
        (PATIENT, "- resourceType: expected ViewDefinition"),
        (VIEW | {"fhirVersion": ["5.0.0"]}, "- fhirVersion: the view is for FHIR 5.0.0; this comp"),
        (view_of("Pateint", id="id"), "Pateint is not a resource type of R4 (did you mean `Patie"),
        (view_of("Patient", id="id.mystery()"), "column[0].path: unknown function mystery()\n"),
        (typed("integer"), "column born is declared integer, but its path gives date\n    birthD"),
    ],
)
def test_a_bad_view_is_refused_with_its_place(
    ecw: Ecw, tmp_path: Path, view: Any, says: str
) -> None:
    ended = ecw("check", view_file(tmp_path, view))

    assert says in ended.stdout
    assert (ended.exit_code, ended.stderr.splitlines()[0]) == (
        7,
        "error: 1 of 1 views cannot be compiled",
    )


def test_a_file_that_is_no_text_is_refused(ecw: Ecw, tmp_path: Path) -> None:
    path = tmp_path / "view.json"
    path.write_bytes(b'{"name": "\xff"}')

    ended = ecw("check", path)

    assert "- not UTF-8 text\n" in ended.stdout
    assert ended.exit_code == 7


def test_a_warning_is_no_failure(ecw: Ecw, tmp_path: Path) -> None:
    ended = ecw("check", view_file(tmp_path, view_of("Patient", id="idd") | {"foreach": "name"}))

    assert ended.exit_code == 0
    assert [line[:18] for line in ended.stdout.splitlines() if "warning" in line] == [
        "- warning: foreach",
        "- warning: select[",
    ]


def test_a_table_of_the_warehouse_may_not_take_its_names(ecw: Ecw, tmp_path: Path) -> None:
    view = view_file(tmp_path, view_of("Observation", patient_id="id"))

    assert ecw("check", view).exit_code == 0
    refused = ecw("check", "--with-keys", view)
    assert "column patient_id is injected by the pipeline: leave it out" in refused.stdout
    assert refused.exit_code == 7


def test_a_folder_without_views_is_told_from_good_ones(ecw: Ecw, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    ended = ecw("check", tmp_path / "none")

    assert ended.exit_code == 3
    assert ended.stderr.startswith("error: there is no *.json in ")


@pytest.mark.parametrize("words", [("check",), ("compile",), ("run",), ("check", "missing.json")])
def test_what_is_missing_is_the_commands_own_refusal(ecw: Ecw, words: tuple[str, ...]) -> None:
    assert ecw(*words).exit_code == 2


# --- compile ----------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [(), ("--with-keys",)])
def test_what_is_printed_is_sql_that_makes_the_table_and_fills_it(
    ecw: Ecw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    sql = ecw("compile", view_file(tmp_path, VIEW), *options).stdout
    screened = HEIGHT | {"ecw_line": 1, "valueQuantity": {"value": DIGITS}}
    lines_file(tmp_path, screened, name="Observation.ndjson")
    monkeypatch.chdir(tmp_path)

    with duckdb.connect() as connection:
        filled = connection.execute(sql)
        rows: Any = filled.fetchall()
        filling = [(column[0], column[1]) for column in filled.description or ()]
        table: Any = connection.execute("SELECT * FROM measured").description
        comments = connection.execute(
            "SELECT comment FROM duckdb_columns() WHERE comment IS NOT NULL"
        ).fetchall()

    assert [(column[0], column[1]) for column in table] == filling
    assert DIGITS in rows[0]
    assert ("it's FHIR's",) in comments
    assert ("source_line" in dict(filling)) == bool(options)


def test_a_view_without_a_name_is_called_as_its_type(ecw: Ecw, tmp_path: Path) -> None:
    view = view_of("MedicationRequest", id="id") | {"name": None}

    assert 'CREATE TABLE "medication_request" (' in ecw("compile", view_file(tmp_path, view)).stdout


def test_a_view_that_cannot_be_compiled_prints_no_sql(ecw: Ecw, tmp_path: Path) -> None:
    ended = ecw("compile", view_file(tmp_path, view_of("Patient", id="frist()")))

    assert (ended.exit_code, ended.stdout) == (7, "")
    assert ended.stderr.startswith("error: view tried cannot be compiled:\n- select[0]")


def test_what_is_compiled_with_a_warning_keeps_it_out_of_the_sql(ecw: Ecw, tmp_path: Path) -> None:
    ended = ecw("compile", view_file(tmp_path, view_of("Patient", id="idd")))

    assert ended.stderr.startswith("warning: select[0].column[0].path: `idd` is not an element")
    assert "warning" not in ended.stdout


# --- run --------------------------------------------------------------------------------------


def test_rows_as_ndjson_are_those_of_the_compiler_with_all_digits(ecw: Ecw, tmp_path: Path) -> None:
    files = [
        lines_file(tmp_path, HEIGHT, name="a.ndjson.gz"),
        lines_file(tmp_path, BARE, name="b.ndjson"),
    ]
    ended = ecw("run", view_file(tmp_path, VIEW), *files, "--format", "ndjson")

    height, bare = ended.stdout.splitlines()
    assert f'"value":{DIGITS},' in height
    assert f'"rounded":{ROUNDED}}}' in height
    exact = HEIGHT | {"valueQuantity": {"value": Decimal(DIGITS)}}
    told = [json.loads(line, parse_float=Decimal) for line in (height, bare)]
    for row, expected in zip(told, run_view(VIEW, [exact, BARE]).rows, strict=True):
        expected["code"] = json.loads(expected["code"])
        expected["issued"] = expected["issued"] and "2024-01-15T08:00:00.250000Z"
        assert row == expected
    assert (ended.exit_code, ended.stderr) == (0, "")


def test_rows_as_csv_lose_nothing(ecw: Ecw, tmp_path: Path) -> None:
    ended = ecw(
        *("run", view_file(tmp_path, VIEW), lines_file(tmp_path, HEIGHT, BARE)),
        *("--format", "csv"),
    )

    header, height, bare = csv.reader(io.StringIO(ended.stdout))
    assert header == NAMES
    code = '{"coding":[{"code":"8302-2"},{"code":"a,b"}]}'
    issued = "2024-01-15T08:00:00.250000Z"
    assert height == ["height", DIGITS, issued, '["8302-2","a,b"]', code, "true", ROUNDED]
    assert bare == ["bare", "", "", "[]", '{"text":"x"}', "false", ""]


def test_rows_come_as_a_table_by_default(ecw: Ecw, tmp_path: Path) -> None:
    view = view_file(tmp_path, view_of("Observation", id="id", all_codes="code.coding.code.join()"))
    ended = ecw("run", view, lines_file(tmp_path, HEIGHT))

    assert ended.stdout.splitlines() == ["id      all_codes", "height  8302-2a,b", "1 rows"]


def test_a_table_ends_with_what_it_does_not_show(ecw: Ecw, tmp_path: Path) -> None:
    many = [PATIENT | {"id": f"p{n}"} for n in range(TABLE_ROWS + 2)]
    ended = ecw(
        "run", view_file(tmp_path, view_of("Patient", id="id")), lines_file(tmp_path, *many)
    )

    assert f"p{TABLE_ROWS - 1}" in ended.stdout.splitlines()
    assert f"p{TABLE_ROWS}" not in ended.stdout.splitlines()
    assert ended.stdout.splitlines()[-1].startswith(f"{TABLE_ROWS + 2} rows, 2 more not shown: ")


def test_a_table_too_wide_for_the_terminal_stands_upright(
    ecw: Ecw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("TERM", "dumb")
    wide = view_of("Patient", **{f"a_long_name_{n}": "id" for n in range(10)})
    ended = ecw("run", view_file(tmp_path, wide), lines_file(tmp_path, PATIENT))

    assert [line for line in ended.stdout.splitlines() if "│ a_long_name_9 │ ann" in line]
    assert max(map(len, ended.stdout.splitlines())) <= 80


def test_parquet_is_typed_and_private(ecw: Ecw, tmp_path: Path) -> None:
    output = tmp_path / "new" / "rows.parquet"
    ended = ecw(
        *("run", view_file(tmp_path, VIEW), lines_file(tmp_path, HEIGHT, BARE)),
        *("--output", output),
    )

    (height, _) = pyarrow.parquet.read_table(output).to_pylist()
    assert height["value"] == DIGITS
    assert (height["codes"], height["is_final"]) == (["8302-2", "a,b"], True)
    assert mode_of(output) == 0o600
    assert (ended.stdout, ended.stderr) == ("", f"2 rows: {output}\n")


@pytest.mark.parametrize("words", [("rows.csv",), ("rows.txt", "--format", "csv")])
def test_a_file_has_the_form_of_its_name_unless_told(
    ecw: Ecw, tmp_path: Path, words: tuple[str, ...]
) -> None:
    output = tmp_path / words[0]
    view = view_file(tmp_path, view_of("Patient", id="id"))
    ended = ecw("run", view, lines_file(tmp_path, PATIENT), "--output", output, *words[1:])

    assert output.read_text("utf-8") == "id\nann\n"
    assert (ended.stdout, ended.exit_code) == ("", 0)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--format", "parquet"), "error: Parquet is not for a terminal\n  next: add --output"),
        (("--output", "rows.txt"), "error: a table is not for a file"),
        (("--output", "rows.csv", "--format", "table"), "error: a table is not for a file"),
    ],
)
def test_rows_go_only_where_they_can_be_read(
    ecw: Ecw, tmp_path: Path, words: tuple[str, ...], says: str
) -> None:
    view = view_file(tmp_path, view_of("Patient", id="id"))
    ended = ecw("run", view, lines_file(tmp_path, PATIENT), *words)

    assert ended.stderr.startswith(says)
    assert (ended.exit_code, ended.stdout) == (3, "")


def test_resources_of_other_types_are_passed_over(ecw: Ecw, tmp_path: Path) -> None:
    view = view_file(tmp_path, view_of("Patient", id="id"))
    lines = lines_file(tmp_path, HEIGHT, PATIENT, BARE)
    ended = ecw("run", view, lines, "--format", "csv")

    assert (ended.exit_code, ended.stdout) == (0, "id\nann\n")
    assert ended.stderr == f"{lines}: 2 of 3 lines hold resources of other types: passed over\n"


def test_lines_that_would_be_quarantined_are_named_and_the_others_give_rows(
    ecw: Ecw, tmp_path: Path
) -> None:
    lines = lines_file(
        tmp_path,
        PATIENT,
        b'{"resourceType": "Patient", "id": "Sm1th"',
        PATIENT | {"id": "bob", "birthDate": 19700101},
        b'{"resourceType": "Patient", "id": "cut", "birthDate": "1970", "birthDate": "1971"}',
        *[b"\xff"] * 4,
    )
    view = view_file(tmp_path, view_of("Patient", id="id", born="birthDate"))
    ended = ecw("run", view, lines, "--format", "csv")

    assert (ended.exit_code, ended.stdout) == (6, "id,born\nann,\n")
    assert ended.stderr.splitlines()[:7] == [
        f"{lines}, line 2: the line is not a JSON object that can be read",
        f"{lines}, line 3: an element is of another JSON type than FHIR R4 says ($.birthDate)",
        f"{lines}, line 4: the line cannot be read as columns (a key stands twice, say)",
        f"{lines}, line 5: the line is not UTF-8 text",
        f"{lines}, line 6: the line is not UTF-8 text",
        f"{lines}: 2 more lines refused",
        "error: 7 of 8 lines were refused; the rows are those of the others",
    ]
    assert "Sm1th" not in ended.stderr


TWICE = b'{"resourceType": "Patient", "id": "x", "name": [], "name": []}'
TWO_NAMES = PATIENT | {"name": [{"family": "Sm1th"}, {"family": "Jon3s"}]}


@pytest.mark.parametrize("lines", [(TWO_NAMES,), (TWICE, TWO_NAMES)])
def test_a_view_that_fails_on_data_names_its_column_and_no_value(
    ecw: Ecw, tmp_path: Path, lines: tuple[Any, ...]
) -> None:
    output = tmp_path / "rows.csv"
    output.write_text("as before", "utf-8")
    view = view_file(tmp_path, view_of("Patient", family="name.family"))
    ended = ecw("run", view, lines_file(tmp_path, *lines), "--output", output)

    message = "the view fails on this data (family: several values where one is expected)"
    assert ended.stderr.startswith(f"error: {message}\n  next: where there are several values")
    assert "Sm1th" not in ended.stderr
    assert (ended.exit_code, output.read_text("utf-8")) == (7, "as before")


def test_a_file_that_is_cut_short_gives_no_rows_at_all(ecw: Ecw, tmp_path: Path) -> None:
    whole = lines_file(tmp_path, *[PATIENT] * 100, name="cut.ndjson.gz")
    whole.write_bytes(whole.read_bytes()[:-20])
    ended = ecw("run", view_file(tmp_path, view_of("Patient", id="id")), whole, "--format", "csv")

    assert ended.stderr.startswith("error: cut.ndjson.gz is cut short or damaged")
    assert (ended.exit_code, ended.stdout) == (6, "")


@pytest.mark.parametrize("lines", [(PATIENT,), (TWICE,), (TWO_NAMES,), ()])
def test_nothing_that_was_read_stays_behind(
    ecw: Ecw, tmp_path: Path, lines: tuple[Any, ...]
) -> None:
    view = view_file(tmp_path, view_of("Patient", family="name.family"))
    ecw("run", view, lines_file(tmp_path, *lines))

    assert names_below(tmp_path) == ["lines.ndjson", "tmp", "view.json"]


def test_who_reads_no_further_gets_no_complaint(place: Place) -> None:
    place.work.mkdir()
    view = view_file(place.work, view_of("Patient", id="id"))
    lines = lines_file(place.work, *[PATIENT] * 50_000)
    with place.start("view", "run", str(view), str(lines), "--format", "csv") as child:
        assert child.stdout is not None
        assert child.stderr is not None
        assert child.stdout.readline() == "id\n"
        child.stdout.close()
        complaint = child.stderr.read()
        child.wait(timeout=60)

    assert complaint == ""
    assert list(place.temporary.iterdir()) == []


# --- test -------------------------------------------------------------------------------------


def suite_file(folder: Path, name: str, **tests: Any) -> None:
    """A test file over one patient: the name of each test and the rows it expects."""
    folder.mkdir(exist_ok=True)
    listed = [
        {"title": title, "view": view_of("Patient", id="id"), "expect": rows}
        for title, rows in tests.items()
    ]
    suite = {"title": name, "resources": [PATIENT, HEIGHT], "tests": listed}
    view_file(folder, suite, name)


def test_tests_that_pass_are_counted_and_reported(ecw: Ecw, tmp_path: Path) -> None:
    suite_file(tmp_path / "tests", "a.json", first=[{"id": "ann"}], second=[{"id": "ann"}])
    report = tmp_path / "new" / "report.json"

    ended = ecw("test", tmp_path / "tests", "--report", report)

    assert ended.stdout == "a.json: 2 of 2 passed\nall 2 tests passed\n"
    assert ended.exit_code == 0
    passed = {"passed": True}
    assert json.loads(report.read_text("utf-8")) == {
        "a.json": {
            "tests": [{"name": "first", "result": passed}, {"name": "second", "result": passed}]
        }
    }


def test_a_test_that_fails_is_named_and_reported(ecw: Ecw, tmp_path: Path) -> None:
    suite_file(tmp_path / "tests", "a.json", right=[{"id": "ann"}], wrong=[{"id": "bob"}])
    suite_file(tmp_path / "tests", "b.json", right=[{"id": "ann"}])
    report = tmp_path / "report.json"

    ended = ecw("test", tmp_path / "tests", "--report", report)

    assert ended.stdout.splitlines()[:3] == [
        "a.json: 1 of 2 passed",
        "  failed: wrong",
        '    expected 1 more: {"id": "bob"}; did not expect 1: {"id": "ann"}',
    ]
    assert ended.stderr.startswith("error: 1 of 3 tests failed\n")
    assert ended.exit_code == 7
    told = json.loads(report.read_text("utf-8"))
    assert [t["result"]["passed"] for t in told["a.json"]["tests"]] == [True, False]


def test_without_a_folder_the_tests_are_where_the_environment_says(
    ecw: Ecw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite_file(tmp_path / "tests", "here.json", one=[{"id": "ann"}])
    monkeypatch.setenv("SQL_ON_FHIR_TESTS", str(tmp_path / "tests"))

    assert ecw("test").stdout.startswith("here.json: 1 of 1 passed\n")


def test_no_tests_are_no_success(ecw: Ecw, tmp_path: Path) -> None:
    ended = ecw("test", tmp_path / "tmp")

    assert ended.stderr.startswith("error: there are no test files in ")
    assert ended.exit_code == 3


def test_a_file_that_holds_no_tests_is_refused(ecw: Ecw, tmp_path: Path) -> None:
    view_file(tmp_path, VIEW)
    ended = ecw("test", tmp_path)

    assert "view.json is no SQL on FHIR test file\n  next: it needs resources" in ended.stderr
    assert ended.exit_code == 6


# --- help -------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["check", "compile", "run", "test"])
def test_help_has_an_example_and_fits_eighty_columns(ecw: Ecw, command: str) -> None:
    ended = ecw(command, "--help")

    assert f"Example: ecw view {command} " in ended.stdout
    assert max(map(len, ended.stdout.splitlines())) <= 80
