"""`ecw demo`: the whole pipeline against a sandbox, ending with answers."""

import shlex
import shutil
import sys
import time
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from ecw_pipeline.cli.sandbox_connection import CONNECTION_ID, DAYS_THAT_PASS
from ecw_pipeline.errors import ConfigurationError

if TYPE_CHECKING:
    from ecw_pipeline.cli.sandbox_connection import Population
    from ecw_pipeline.sandbox.server import RunningSandbox
    from ecw_pipeline.stages.lake import Lake


QUESTIONS = {
    "What did the two syncs bring, change and delete?": """
        SELECT resource_type, sum(lines_landed)::BIGINT AS lines_landed,
               sum(resources_changed)::BIGINT AS new_or_changed,
               sum(resources_deleted)::BIGINT AS deleted
        FROM ops.load GROUP BY ALL ORDER BY lines_landed DESC LIMIT 8""",
    "What share of visits is telehealth, month by month?": """
        SELECT month, encounters, telehealth_encounters AS telehealth,
               telehealth_share AS share
        FROM marts.telehealth_share_by_month ORDER BY month DESC LIMIT 6""",
    "Which diabetics have the highest latest HbA1c?": """
        SELECT patient_id, hba1c_percent, measured_at, is_above_9
        FROM marts.hba1c_latest_per_patient WHERE has_diabetes
        ORDER BY hba1c_percent DESC NULLS LAST LIMIT 5""",
    "How quickly are patients' messages answered?": """
        SELECT month, messages, answered, still_open, median_hours, p90_hours
        FROM marts.message_response_time ORDER BY month DESC LIMIT 6""",
    "What are the most common active problems?": """
        SELECT code_display AS problem, count(DISTINCT patient_id) AS patients
        FROM core.condition WHERE clinical_status_code = 'active' GROUP BY ALL
        ORDER BY patients DESC, problem LIMIT 5""",
}


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo")(run)


def run(
    patients: Annotated[int, typer.Option(min=1, help="How many patients to make up.")] = 100,
    seed: Annotated[int, typer.Option(help="The same seed gives the same patients.")] = 7,
) -> None:
    """Run the whole pipeline against a sandbox: a full sync, an incremental one, five answers.

    Example: ecw demo --patients 200
    """
    from ecw_pipeline.cli.sandbox_connection import new_population, open_sandbox
    from ecw_pipeline.cli.terminal import console

    started = time.monotonic()
    population = new_population(patients, seed)
    with open_sandbox(0, population) as running:
        console.print(f"sandbox with {patients} made-up patients: {running.base_url}")
        lake = _open_lake()
        _sync_twice(lake, running, population)
    _answer(lake)
    seconds = time.monotonic() - started
    console.print(f"\ndone in {seconds:.0f} s")
    command = shlex.quote(sys.argv[0])
    console.print(f'your own question:  {command} sql "select …"')
    console.print(f"the warehouse:      {lake.folder.warehouse} (read-only)")
    console.print(f"a page of plots:    {lake.folder.report}")
    console.print("the Dagster UI:     make dev, then http://127.0.0.1:3000")


def _open_lake() -> "Lake":
    """A lake on the sandbox, empty but for itself.

    Raises:
        ConfigurationError: the data folder holds a real connection's data.
    """
    from ecw_pipeline.cli.dagster_home import prepare_dagster_home
    from ecw_pipeline.cli.own_views import say_own_views
    from ecw_pipeline.stages.lake import Lake

    lake = Lake.from_environment()
    say_own_views(lake)  # a wrong folder is told before anything is thrown away
    _start_afresh(lake)
    prepare_dagster_home(lake.settings)
    return Lake.from_environment()


def _start_afresh(lake: "Lake") -> None:
    """Throw away what an earlier demo left, and nothing else."""
    others = _connections_seen(lake) - {CONNECTION_ID}
    if others:
        raise ConfigurationError(
            f"{lake.folder.root} holds data of {', '.join(sorted(others))}",
            "run the demo elsewhere: ECW_DATA=/tmp/ecw-demo ecw demo",
        )
    for name in ("landing", "flat", "state", "dagster"):
        shutil.rmtree(lake.folder.root / name, ignore_errors=True)
    lake.folder.warehouse.unlink(missing_ok=True)


def _connections_seen(lake: "Lake") -> set[str]:
    """Who the data folder holds something of, by the ledger and by what has landed."""
    landing = lake.folder.landing
    landed = {folder.name for folder in landing.iterdir()} if landing.exists() else set()
    known = lake.ledger.exports() if lake.folder.ledger.exists() else []
    return landed | {export.connection_id for export in known}


def _sync_twice(lake: "Lake", running: "RunningSandbox", population: "Population") -> None:
    from ecw_pipeline.cli.dagster_runs import run_job
    from ecw_pipeline.cli.sandbox_connection import let_days_pass, remember
    from ecw_pipeline.cli.terminal import console

    today = lake.clock.now().date()
    run_job("full_refresh", str(today - timedelta(days=1)), lake, "first full sync")
    changes = let_days_pass(running, DAYS_THAT_PASS)
    remember(lake.folder, replace(population, days_passed=DAYS_THAT_PASS))
    words = ", ".join(f"{sum(counts.values())} {kind}" for kind, counts in changes.items())
    console.print(f"{DAYS_THAT_PASS} days pass: {words} resources")
    run_job("incremental_sync", str(today), lake, "incremental sync")


def _answer(lake: "Lake") -> None:
    from ecw_pipeline.cli.terminal import console, show_rows
    from ecw_pipeline.warehouse.database import read_published

    with read_published(lake.folder.warehouse) as connection:
        for question, sql in QUESTIONS.items():
            result = connection.execute(sql)
            columns = [column[0] for column in result.description or ()]
            console.print()
            show_rows(columns, result.fetchall(), question)
