"""`ecw attachments`: bring the documents that resources hold or name."""

from typing import Annotated

import typer

from ecw_pipeline.errors import EcwError, raise_first


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("attachments")(run)


def run(
    retry: Annotated[
        bool, typer.Option("--retry", help="Ask also for what was gone, refused or not as told.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")] = False,
) -> None:
    """Bring the documents of reports, references, messages and media, each once, with their text.

    They are files below the data folder, and rows of core.attachment. All other requests go first.
    Stopped or killed, the same command continues. Example: ecw attachments --json
    """
    import json
    from dataclasses import asdict

    from ecw_pipeline.cli.terminal import console, progress
    from ecw_pipeline.stages.attachments import fetch_attachments
    from ecw_pipeline.stages.lake import Lake

    lake = Lake.from_environment()
    errors: list[EcwError] = []
    if as_json:
        attached = fetch_attachments(lake, errors, retry=retry)
        typer.echo(json.dumps(asdict(attached), indent=2))
    else:
        with progress("fetch") as step:
            attached = fetch_attachments(lake, errors, step, retry=retry)
        for name, counts in attached.states.items():
            words = ", ".join(f"{count} {state}" for state, count in counts.items())
            console.print(f"{name}: {words}")
        console.print(
            f"{attached.fetched} of {attached.settled} brought now: {lake.folder.attachments}",
        )
    raise_first(errors)
