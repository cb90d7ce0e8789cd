"""`ecw login`: sign in by a browser, so that searches ask as a person and not as the client."""

from typing import Annotated

import typer


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("login")(run)


def run(
    connection: Annotated[str, typer.Option(help="The connection to sign in to.")] = "",
) -> None:
    """Sign in at the server by your browser; `ecw search` then asks as you.

    The tokens stay in the data folder (0600) and are renewed until they end or are revoked.
    Needs ECLINICALWORKS_REDIRECT_URI. Example: ecw login
    """
    import webbrowser

    from ecw_pipeline.cli.terminal import console
    from ecw_pipeline.fhir_client.session import open_session
    from ecw_pipeline.fhir_client.sign_in import sign_in
    from ecw_pipeline.stages.lake import Lake

    lake = Lake.from_environment()
    chosen = lake.chosen_connection(connection)
    path = lake.folder.sign_in(chosen.connection_id)
    with (
        open_session(chosen, lake.folder, lake.clock) as session,
        sign_in(session, path) as waiting,
    ):
        typer.echo(f"sign in here (opened in your browser, if there is one):\n{waiting.url}")
        webbrowser.open(waiting.url)
        token = waiting.finish()
    said = [f"signed in to {chosen.connection_id}: {token.scope}"]
    if token.patient_id:
        said.append(f'next: ecw search "Observation?patient={token.patient_id}"')
    if not token.refresh_token:
        seconds = token.expires_at - lake.clock.now().timestamp()
        said.append(f"the server gave no refresh token: this lasts {seconds:.0f} s")
    console.print("\n".join(said), markup=False)
