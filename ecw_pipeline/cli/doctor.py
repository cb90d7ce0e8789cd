"""`ecw doctor`: which link of the chain to a server is broken, and what to do."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ecw_pipeline.doctor import Finding
    from ecw_pipeline.settings import ConnectionSettings

_STYLES = {"ok": "green", "warning": "yellow", "failed": "red"}


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor")(run)


def run(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")] = False,
) -> None:
    """Check every connection from DNS to the kick-off; the exit code is the first failure's.

    Example: ecw doctor
    """
    import json
    from dataclasses import asdict

    from ecw_pipeline.doctor import examine
    from ecw_pipeline.stages.lake import Lake

    lake = Lake.from_environment()
    found: list[Finding] = []
    for settings in lake.settings.connections():
        of_this = []
        for finding in examine(lake, settings):
            of_this.append(finding)
            if not as_json:
                _show(finding)
        found += of_this
        if not as_json and any(finding.status == "failed" for finding in of_this):
            _show_support(settings)
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in found], indent=2))
    raise typer.Exit(next((f.exit_code for f in found if f.status == "failed"), 0))


def _show(finding: "Finding") -> None:
    from rich.markup import escape

    from ecw_pipeline.cli.terminal import console

    style = _STYLES[finding.status]
    words = f"{finding.connection_id}  {finding.link}: {finding.said}"
    console.print(f"[{style}]{finding.status:7}[/{style}]  {escape(words)}")
    if finding.next_step:
        console.print(f"         next: {escape(finding.next_step)}")


def _show_support(settings: "ConnectionSettings") -> None:
    from ecw_pipeline.cli.terminal import console
    from ecw_pipeline.fhir_client.providers import PROVIDERS

    if support := PROVIDERS[settings.provider].support:
        console.print(f"the provider's help: {support}")
