"""`ecw dev`: the Dagster UI and daemon, with a sandbox beside them if nothing is configured."""

import signal
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import replace
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ecw_pipeline.settings import Settings

_STOP_SECONDS = 20


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("dev")(run)


def run(
    port: Annotated[int, typer.Option(help="Port of the Dagster UI.")] = 3000,
    sandbox_port: Annotated[int, typer.Option(help="Port of the sandbox.")] = 8090,
) -> None:
    """Open the Dagster UI with its daemon: schedules, sensors, backfills. Ctrl-C stops all of it.

    Without a configured connection a sandbox runs beside it. Example: ecw dev --port 3001
    """
    from ecw_pipeline.cli.dagster_home import prepare_dagster_home
    from ecw_pipeline.cli.own_views import say_own_views
    from ecw_pipeline.cli.terminal import console
    from ecw_pipeline.settings import Settings
    from ecw_pipeline.stages.lake import Lake

    signal.signal(signal.SIGTERM, _stop)
    # Started in the background by a script, we inherit that Ctrl-C is ignored; Dagster's
    # processes stop each other by it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    settings = Settings.from_environment()
    with ExitStack() as stack:
        if not (settings.client_id or settings.connections_file):
            _open_sandbox_beside(stack, settings, sandbox_port)
        prepare_dagster_home(settings)
        say_own_views(Lake.from_environment())
        console.print(f"Dagster UI: http://127.0.0.1:{port}   (Ctrl-C stops it)")
        _run_dagster(port)


def _open_sandbox_beside(stack: ExitStack, settings: "Settings", port: int) -> None:
    """Serve the demo's population, one day later, so that there is something new to fetch."""
    from ecw_pipeline.cli.sandbox_connection import open_sandbox, recall, remember
    from ecw_pipeline.cli.terminal import console

    known = recall(settings.folder)
    population = replace(known, days_passed=known.days_passed + 1)
    running = stack.enter_context(open_sandbox(port, population))
    remember(settings.folder, population)
    console.print(f"no connection is configured: using a sandbox at {running.base_url}")


def _run_dagster(port: int) -> None:
    """Run UI and daemon until they end or we are told to stop."""
    quiet = "ignore:Function `dev_command` is superseded"  # by a tool that wants its own layout
    command = [sys.executable, "-W", quiet, "-m", "dagster", "dev"]
    command += ["-m", "ecw_pipeline.definitions"]
    # What runs and sensors do is told in the UI; every tick of each would be two lines here.
    command += ["--log-level", "warning", "--host", "127.0.0.1", "--port", str(port)]
    with subprocess.Popen(command) as child:  # noqa: S603 - our own interpreter and words
        try:
            child.wait()
        except (KeyboardInterrupt, SystemExit):
            child.send_signal(signal.SIGINT)
            child.wait(timeout=_STOP_SECONDS)


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)
