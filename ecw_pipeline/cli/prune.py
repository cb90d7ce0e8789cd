"""`ecw prune`: take away old received files that nothing current needs."""

from typing import TYPE_CHECKING, Annotated

import typer

from ecw_pipeline.errors import EcwError, raise_first

if TYPE_CHECKING:
    from ecw_pipeline.stages.pruning import OldExport


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("prune")(run)


def run(
    days: Annotated[
        int, typer.Option(min=0, help="Keep all that was received in so many days.")
    ] = 365,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without it, only show.")] = False,
) -> None:
    """Take away old received files that newer complete exports have made unneeded.

    What is current stays, whatever its age. Closed versions that only the old files told go with
    them, and cannot be had again. Example: ecw prune --days 730
    """
    from ecw_pipeline.cli.terminal import console, progress, show_rows
    from ecw_pipeline.stages.lake import Lake
    from ecw_pipeline.stages.pruning import old_exports, prune

    lake = Lake.from_environment()
    errors: list[EcwError] = []
    if yes:
        with progress("prune") as step:
            gone = prune(lake, days, errors, step)
        console.print(f"{len(gone)} exports are gone, {_megabytes(gone)} of received files")
    else:
        found = old_exports(lake, days)
        going = [one for one in found if not one.needed_for]
        if found:
            show_rows(("export", "as of", "MB", "what of it"), [_row(one) for one in found])
        hint = "; add --yes to take them away" if going else ""
        console.print(f"{len(going)} exports may go, {_megabytes(going)} of received files{hint}")
    raise_first(errors)


def _row(one: "OldExport") -> tuple[str, str, str, str]:
    needed = f"needed: no complete export since of {', '.join(one.needed_for)}"
    what = needed if one.needed_for else "may go"
    as_of = f"{one.export.known_at:%Y-%m-%d}"
    return one.export.export_id, as_of, f"{one.size_bytes / 1e6:.1f}", what


def _megabytes(exports: "list[OldExport]") -> str:
    return f"{sum(one.size_bytes for one in exports) / 1e6:.1f} MB"
