"""`ecw init`: five questions, and a `.env` that answers them."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ecw_pipeline.errors import ConfigurationError

if TYPE_CHECKING:
    from ecw_pipeline.fhir_client.providers import Provider

FILE = Path(".env")
_ASSIGNMENT = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=")


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("init")(run)


def run(
    check: Annotated[
        bool, typer.Option(help="Check the connection afterwards: ecw doctor.")
    ] = True,
) -> None:
    """Ask what is needed to reach your server, write it to .env (0600), and check it.

    Other lines of .env stay. The secret is not shown as you type it. Example: ecw init
    """
    from ecw_pipeline.cli import doctor
    from ecw_pipeline.cli.terminal import console

    try:
        answers = _asked()
    except typer.Abort as error:
        raise ConfigurationError(
            "a question was not answered, and nothing written",
            "answer on a terminal, or write .env by hand (README, Your own practice)",
        ) from error
    write_settings(FILE, answers)
    console.print(f"wrote {', '.join(answers)} to {FILE.absolute()} (0600)")
    if check:
        doctor.run()
    else:
        console.print("next: ecw doctor, then ecw export")


def _asked() -> dict[str, str]:
    """The questions; what a preset knows is offered."""
    from ecw_pipeline.fhir_client.providers import PROVIDERS

    name = typer.prompt(f"1. Service ({', '.join(PROVIDERS)})", default=next(iter(PROVIDERS)))
    while name not in PROVIDERS:
        name = typer.prompt(f"   one of {', '.join(PROVIDERS)}")
    provider = PROVIDERS[name]
    endpoint = _endpoint(provider)
    answers = {"ECW_PROVIDER": name, "ECLINICALWORKS_FHIR_ENDPOINT": endpoint}
    answers["ECLINICALWORKS_CLIENT_ID"] = _line("3. Client id")
    answers |= _credential(provider)
    if provider.level == "group":
        answers["ECW_GROUP_ID"] = _line("5. Id of the Group to export (your developer portal)")
    else:
        types = typer.prompt("5. Resource types, comma-separated; empty for all", default="")
        answers["ECW_RESOURCE_TYPES"] = types.strip()
    return answers


def _endpoint(provider: "Provider") -> str:
    from ecw_pipeline.errors import EcwError
    from ecw_pipeline.fhir_client.providers import checked_url

    question = "2. FHIR base URL, such as https://host/fhir/r4/PRACTICE"
    while True:
        answer: str = typer.prompt(question, default=provider.default_endpoint or None)
        try:
            return checked_url(answer.strip())
        except EcwError as error:
            typer.echo(f"   {error}")


def _credential(provider: "Provider") -> dict[str, str]:
    if provider.auth_kind != "private_key_jwt":
        question = "4. Client secret (not shown; empty for a key)"
        secret = typer.prompt(question, default="", show_default=False, hide_input=True).strip()
        if secret:
            return {"ECLINICALWORKS_CLIENT_SECRET": secret}
    question = "4. File of the private key, JWK or PEM (make one: ecw keys new FILE)"
    return {"ECW_PRIVATE_KEY_FILE": str(Path(_line(question)).expanduser().absolute())}


def _line(question: str) -> str:
    answer: str = typer.prompt(question)
    return answer.strip()


def write_settings(path: Path, answers: Mapping[str, str]) -> None:
    """Put settings into a file of them: each in the place of an older one, others stay.

    Raises:
        MachineError: the file cannot be written.
        BadDataError: it is not text.
    """
    from ecw_pipeline.errors import BadDataError
    from ecw_pipeline.files import finished_file

    try:
        lines = path.read_text("utf-8").splitlines() if path.exists() else []
    except UnicodeDecodeError as error:
        raise BadDataError(f"{path} is not UTF-8 text", "save it as UTF-8") from error
    kept = [line for line in lines if not _assigns(line, answers)]
    written = [f"{name}={_quoted(value)}" for name, value in answers.items()]
    with finished_file(path.absolute()) as stream:
        stream.write("".join(f"{line}\n" for line in [*kept, *written]).encode())


def _assigns(line: str, names: Mapping[str, str]) -> bool:
    found = _ASSIGNMENT.match(line)
    return found is not None and found[1] in names


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
