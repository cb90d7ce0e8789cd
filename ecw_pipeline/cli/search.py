"""`ecw search`: one question to the server itself, for what is not loaded yet."""

import sys
from typing import Annotated

import typer


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("search")(run)


def run(
    query: Annotated[str, typer.Argument(metavar="SEARCH", help="Type?parameter=value&…")],
    connection: Annotated[str, typer.Option(help="The connection to ask.")] = "",
    limit: Annotated[int, typer.Option(min=0, help="Stop after so many resources; 0 is all.")] = 0,
) -> None:
    """Ask the server by a FHIR search; prints NDJSON, each resource as the server wrote it.

    Nothing is loaded, and every page is one request of the budget. Asks as whoever signed in
    (`ecw login`), else as the client; needs scopes that allow search.
    Example: ecw search "Communication?patient=p1&status=completed&sent=ge2024-01-01"
    """
    from ecw_pipeline.fhir_client.search import search
    from ecw_pipeline.fhir_client.session import open_session
    from ecw_pipeline.stages.lake import Lake

    lake = Lake.from_environment()
    chosen = lake.chosen_connection(connection)
    with open_session(chosen, lake.folder, lake.clock, as_user=True) as session:
        for number, text in enumerate(search(session, query), start=1):
            sys.stdout.buffer.write(b" ".join(text.splitlines()) + b"\n")
            if number == limit:
                break
    sys.stdout.flush()
