"""`ecw sandbox`: a pretend FHIR server to try everything against."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("sandbox")(run)


def _list_faults(is_wanted: bool) -> None:
    if is_wanted:
        from ecw_pipeline.cli.terminal import show_rows
        from ecw_pipeline.sandbox.faults.table import FAULTS

        rows = [(fault.name, fault.settings, fault.description) for fault in FAULTS.values()]
        show_rows(("fault", "parameters", "what it does"), rows)
        raise typer.Exit


_Faults = Annotated[Path | None, typer.Option(help="Have the faults of this TOML or JSON file.")]
_KeySet = Annotated[
    Path | None, typer.Option(help="Know the client by the keys of this file: ecw keys jwks.")
]
_Seed = Annotated[int, typer.Option(help="The same seed gives the same patients, on the same day.")]
_ListFaults = Annotated[
    bool, typer.Option("--list-faults", callback=_list_faults, help="List the faults there are.")
]


def run(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes any free one.")
    ] = 8090,
    patients: Annotated[int, typer.Option(min=1, help="How many patients to make up.")] = 100,
    seed: _Seed = 7,
    data: Annotated[
        Path | None, typer.Option(help="Serve this folder of .ndjson/.ndjson.gz instead.")
    ] = None,
    faults: _Faults = None,
    jwks: _KeySet = None,
    _: _ListFaults = False,
    allow_remote: Annotated[
        bool, typer.Option("--allow-remote", help="Allow an address that others can reach.")
    ] = False,
) -> None:
    """Serve a pretend FHIR R4 server with Bulk Data export until Ctrl-C.

    Example: ecw sandbox --patients 500 --port 8090

    A file of faults, of which docs/sandbox.md tells more, that cuts a fifth of the files:
    {"cut_body": {"probability": 0.2}}
    """
    from ecw_pipeline.cli.terminal import console
    from ecw_pipeline.sandbox.faults.script import Faults
    from ecw_pipeline.sandbox.server import RunningSandbox, SandboxConfig, serve
    from ecw_pipeline.sandbox.tokens import read_key_set

    script = Faults.read(faults) if faults else None
    keys = read_key_set(jwks) if jwks else None
    served = SandboxConfig(host=host, port=port, patients=patients, seed=seed, data=data, jwks=keys)
    config = replace(served, started_at=_today())

    def ready(running: RunningSandbox) -> None:
        console.print(f"sandbox ready: {running.base_url}")
        key = ", or the private key" if jwks else ""
        console.print(f"client id {config.client_id}, client secret {config.client_secret}{key}")

    serve(config, script, on_ready=ready, allow_remote=allow_remote)


def _today() -> datetime:
    """What the sandbox's clock begins with: data of another day would be told of as late."""
    return datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
