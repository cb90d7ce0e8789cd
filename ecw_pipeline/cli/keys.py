"""`ecw keys`: make the key that a connection signs with, and print its public half."""

from pathlib import Path
from typing import Annotated, Literal

import typer

# As `fhir_client.keys.Algorithm`, which takes long to import.
Algorithm = Literal["RS384", "ES384"]
HELP = "Make a signing key; print its public half. Example: ecw keys new practice.jwk"
keys = typer.Typer(no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(keys, name="keys", help=HELP)


@keys.command("new")
def new(
    file: Annotated[Path, typer.Argument(help="Where to keep the private key (mode 0600).")],
    algorithm: Annotated[
        Algorithm, typer.Option(help="eClinicalWorks takes RS384 only.")
    ] = "RS384",
) -> None:
    """Make a key pair. The private half stays in FILE; `ecw keys jwks FILE` prints the public one.

    Example: ecw keys new practice.jwk
    """
    from ecw_pipeline.cli.terminal import console
    from ecw_pipeline.fhir_client.keys import key_id, new_key

    made = new_key(file, algorithm)
    console.print(
        f"{file}: {algorithm}, kid {key_id(made)}\n"
        f"set ECW_PRIVATE_KEY_FILE to it, and publish: ecw keys jwks {file}",
    )


@keys.command("jwks")
def jwks(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Private keys.")],
) -> None:
    """Print the JWK set that the provider reads: the public halves, several while keys change.

    Example: ecw keys jwks practice.jwk > jwks.json
    """
    import json

    from ecw_pipeline.fhir_client.keys import key_set

    typer.echo(json.dumps(key_set(files), indent=2))
