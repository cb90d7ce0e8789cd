"""The `ecw` command: its groups of commands, and how errors reach the terminal.

Exit codes say who must act: 0 nobody, 2 the command's words, 3 a setting, 4 wait and try again,
5 the server, 6 the data, 7 a view, 8 this machine, 1 us.
"""

import inspect
import os
import sys
import traceback
from pathlib import Path

import typer

from ecw_pipeline.cli import (
    attachments,
    demo,
    dev,
    doctor,
    export,
    init,
    keys,
    login,
    prune,
    query,
    rebuild,
    report,
    resource,
    sandbox,
    search,
    serve,
    status,
    unload,
    view,
)
from ecw_pipeline.errors import EcwError
from ecw_pipeline.files import machine_error

app = typer.Typer(
    name="ecw",
    help="From a FHIR EHR to an analytics warehouse. Start with: [bold]ecw demo[/bold]",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)


def _flowing(text: str) -> str:
    """Help whose lines end where the terminal does, not where those of the code do."""
    paragraphs = inspect.cleandoc(text).replace("Example: ", "\n\nExample: ").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs if paragraph)


PANELS = {
    "Begin": (demo, init, doctor, keys, login, sandbox),
    "Bring data home": (export, attachments, dev, serve, status, rebuild, prune),
    "Ask": (query, report, resource, search, unload, view),
}
for panel, modules in PANELS.items():
    known = len(app.registered_commands), len(app.registered_groups)
    for module in modules:
        module.add_to(app)
    for command in app.registered_commands[known[0] :]:
        command.rich_help_panel = panel
    for group in app.registered_groups[known[1] :]:
        group.rich_help_panel = panel
inner = [group.typer_instance for group in app.registered_groups if group.typer_instance]
for command in (command for one in (app, *inner) for command in one.registered_commands):
    command.help = _flowing(command.callback.__doc__ or "") if command.callback else None

# Set by --debug alone: ECW_DEBUG, which goes into services too, tells nothing of patients.
_TRACEBACKS = "ECW_TRACEBACKS"
# What typer makes of Ctrl-C.
_INTERRUPTED = 130


@app.callback()
def options(
    debug: bool = typer.Option(
        False, "--debug", help="Tell of requests, and show tracebacks, which may quote data."
    ),
) -> None:
    """From a FHIR EHR to an analytics warehouse."""
    if debug:
        os.environ["ECW_DEBUG"] = os.environ[_TRACEBACKS] = "1"


def main() -> None:
    """Run the command; an error becomes one clear message and an exit code."""
    os.umask(0o077)  # whatever we or Dagster write is for its owner only
    try:
        app()
    except EcwError as error:
        _leave(error)
    except OSError as error:
        _leave(machine_error(error, Path(error.filename or ".")))
    except SystemExit as end:
        if end.code == _INTERRUPTED:
            sys.stderr.write("stopped; run the same command again to continue\n")
        raise
    except Exception as error:
        # DuckDB is not imported for commands that do without it.
        if not type(error).__module__.endswith("duckdb"):
            raise
        from ecw_pipeline.warehouse.database import engine_error

        _leave(engine_error(error))  # type: ignore[arg-type]


def _leave(error: EcwError) -> None:
    if os.environ.get(_TRACEBACKS):
        traceback.print_exception(error)
    sys.stderr.write(f"error: {error.message}\n")
    if error.next_step:
        sys.stderr.write(f"  next: {error.next_step}\n")
    sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
