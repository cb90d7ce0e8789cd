"""`ecw prune` shows what may go, and takes it away when told to."""

from ecw_pipeline.stages.plans import Wish
from ecw_pipeline_tests.cli.command import Place
from ecw_pipeline_tests.stages.practice import practice, small_data


def test_what_may_go_is_shown_and_goes_when_told_to(place: Place) -> None:
    with practice(place.folder, data=small_data(place.folder / "lines")) as one:
        one.set("ECW_RESOURCE_TYPES", "Patient")
        pulled = (one.pull(day, wish=Wish(is_full=True)) for day in ("2026-01-05", "2026-01-06"))
        old, new = (export.export_id for (export,) in pulled)
        shown = place.run("prune", "--days", "0").stdout
        folders = [place.data / "landing" / "practice" / name for name in (old, new)]
        stood = [folder.exists() for folder in folders]
        done = place.run("prune", "--days", "0", "--yes")
        again = place.run("prune", "--days", "0").stdout

    assert f"{old}  " in shown
    assert "may go" in next(line for line in shown.splitlines() if old in line)
    assert "needed: no complete export since of Patient" in shown
    assert shown.splitlines()[-1].startswith("1 exports may go, ")
    assert shown.rstrip().endswith("; add --yes to take them away")
    assert stood == [True, True]
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1].startswith("1 exports are gone, ")
    assert [folder.exists() for folder in folders] == [False, True]
    assert again.splitlines()[-1].startswith("0 exports may go, ")


def test_where_nothing_was_received_nothing_may_go(place: Place) -> None:
    ended = place.run("prune", "--days", "30")

    assert (ended.exit_code, ended.stdout) == (0, "0 exports may go, 0.0 MB of received files\n")
    assert place.listing() == []
