"""`ecw view`: check, compile and test ViewDefinitions. Running one over files: `view_run`."""

import os
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ecw_pipeline.cli import view_run
from ecw_pipeline.errors import ConfigurationError, UnsupportedViewError

if TYPE_CHECKING:
    from ecw_pipeline.sql_on_fhir.conformance import Verdict

WithKeys = Annotated[
    bool,
    typer.Option("--with-keys", help="As a table of the warehouse: with ids and provenance."),
]
_TESTS = typer.Argument(
    exists=True, file_okay=False, metavar="FOLDER", help="Test files; else SQL_ON_FHIR_TESTS."
)


def add_to(app: typer.Typer) -> None:
    """Add the group."""
    words = "Try out tables of your own: ViewDefinitions. Example: ecw view check my_views/"
    group = typer.Typer(no_args_is_help=True, help=words)
    group.command()(check)
    group.command("compile")(print_sql)
    group.command()(view_run.run)
    group.command("test")(run_tests)
    app.add_typer(group, name="view")


def check(
    files: Annotated[
        list[Path],
        typer.Argument(exists=True, metavar="FILE", help="Views; a folder means its *.json."),
    ],
    with_keys: WithKeys = False,
) -> None:
    """Say everything that is wrong with views, or that nothing is.

    Exit code 7 when a view cannot be compiled; a warning is no failure.

    Example: ecw view check my_views/
    """
    paths = [path for given in files for path in _view_files(given)]
    failed = [path for path in paths if not _checked(path, with_keys=with_keys)]
    if failed:
        raise UnsupportedViewError(
            f"{len(failed)} of {len(paths)} views cannot be compiled",
            "mend what is listed above and check again",
        )


def print_sql(
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, metavar="FILE", help="A view.")
    ],
    with_keys: WithKeys = False,
) -> None:
    """Print a view as SQL: the table it makes and the query that fills it.

    Example: ecw view compile patient_contact_point.json
    """
    from ecw_pipeline.fhir.resource_types import snake_case

    view = view_run.compiled(file, with_keys=with_keys)
    table = view.name or snake_case(view.resource)
    source = view.from_ndjson([Path(f"{view.resource}.ndjson")])
    note = f"-- {view.resource}.ndjson stands for screened files: decimals as text, lines numbered."
    statements = [view.create_table(table), *view.comments(table), f"{note}\n{view.select(source)}"]
    typer.echo(";\n\n".join(statements) + ";")


def run_tests(
    folder: Annotated[Path | None, _TESTS] = None,
    report: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Write the official report here.")
    ] = None,
) -> None:
    """Run the official SQL on FHIR tests, or others of their form.

    Exit code 7 when a test fails.

    Example: ecw view test sql-on-fhir-v2/tests --report test_report.json
    """
    from ecw_pipeline.files import write_json
    from ecw_pipeline.sql_on_fhir import conformance

    folder = folder or conformance.official_folder(os.environ)
    verdicts: dict[str, list[Verdict]] = {}
    for suite in conformance.read_suites(folder):
        verdicts[suite.file_name] = conformance.run_suite(suite)
        _show_verdicts(suite.file_name, verdicts[suite.file_name])
    if not verdicts:
        raise ConfigurationError(
            f"there are no test files in {folder}", "name their folder, or set SQL_ON_FHIR_TESTS"
        )
    if report:
        write_json(report, conformance.report(verdicts))
    results = [verdict for of_file in verdicts.values() for verdict in of_file]
    failed = sum(1 for verdict in results if verdict.failure)
    if failed:
        raise UnsupportedViewError(
            f"{failed} of {len(results)} tests failed", "what differs is listed above"
        )
    typer.echo(f"all {len(results)} tests passed")


def _view_files(given: Path) -> list[Path]:
    if not given.is_dir():
        return [given]
    if found := sorted(given.glob("*.json")):
        return found
    raise ConfigurationError(f"there is no *.json in {given}", "name a view, or its folder")


def _checked(path: Path, *, with_keys: bool) -> bool:
    """Whether a view can be compiled; says so, with its problems and warnings."""
    from ecw_pipeline.sql_on_fhir.compiler import ViewError, compile_view
    from ecw_pipeline.sql_on_fhir.view_file import read_view_file

    try:
        view = compile_view(read_view_file(path), with_keys=with_keys)
    except UnsupportedViewError as error:
        _say(f"failed  {path}\n{error.message}")
        _warn(error.warnings if isinstance(error, ViewError) else ())
        return False
    _say(f"ok  {view.name or path.name}  ({view.resource}, {len(view.columns)} columns)")
    _warn(view.warnings)
    return True


def _warn(warnings: tuple[str, ...]) -> None:
    for warning in warnings:
        _say(f"- warning: {warning}")


def _show_verdicts(file_name: str, verdicts: "list[Verdict]") -> None:
    passed = sum(1 for verdict in verdicts if not verdict.failure)
    _say(f"{file_name}: {passed} of {len(verdicts)} passed")
    for verdict in verdicts:
        if verdict.failure:
            _say(f"  failed: {verdict.title}\n{textwrap.indent(verdict.failure, '    ')}")


def _say(text: str) -> None:
    """Lines for a person are broken between words; for a program they stay whole."""
    from ecw_pipeline.cli.terminal import console

    console.print(text, markup=False)
