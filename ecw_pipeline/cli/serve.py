"""`ecw serve`: the HTTP API."""

from typing import Annotated

import typer


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("serve")(run)


def run(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes any free one.")
    ] = 8070,
    land: Annotated[
        bool, typer.Option("--land", help="Land and load exports here, without Dagster's daemon.")
    ] = False,
) -> None:
    """Serve the HTTP API until Ctrl-C: exports, syncs and capabilities for other applications.

    Exports asked for here are landed by Dagster's sensor (ecw dev), or here with --land. Beyond
    this machine it asks for ECW_API_KEY. Example: ecw serve --land
    """
    from ecw_pipeline.api.app import OPENAPI_URL
    from ecw_pipeline.api.server import ApiConfig, serve
    from ecw_pipeline.cli.terminal import console
    from ecw_pipeline.stages.lake import Lake

    lake = Lake.from_environment()
    lake.connections()  # a wrong setting is told before anybody calls

    def ready(url: str) -> None:
        console.print(f"API ready: {url}")
        console.print(f"described in {url}{OPENAPI_URL}")

    serve(lake, ApiConfig(host=host, port=port, lands=land), ready)
