"""What is refused is refused in one clear message, and leaves the data folder as it was."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ecw_pipeline.sandbox.server import RunningSandbox
from ecw_pipeline_tests.cli.command import ECW, Finished, Place, settings_for

SECRET = "Sup3rS3cret"
CREDENTIALS = {"ECLINICALWORKS_CLIENT_ID": "client", "ECLINICALWORKS_CLIENT_SECRET": SECRET}
ENDPOINT = "ECLINICALWORKS_FHIR_ENDPOINT"
CONNECTIONS = {"ECW_CONNECTIONS": "practices.toml"}


@dataclass(frozen=True)
class Case:
    """Bad input that is noticed before anything is sent, and what is said of it."""

    name: str
    message: str
    next_step: str
    settings: dict[str, str] = field(default_factory=dict)
    words: tuple[str, ...] = ("export",)
    files: dict[str, str] = field(default_factory=dict)


CASES = (
    Case(
        "no credentials",
        "connection 'practice' lacks ECLINICALWORKS_CLIENT_ID, ECLINICALWORKS_CLIENT_SECRET",
        "set it in the environment or .env",
    ),
    Case(
        "no client id",
        "connection 'practice' lacks ECLINICALWORKS_CLIENT_ID\n",
        "set it in the environment or .env",
        {"ECLINICALWORKS_CLIENT_SECRET": SECRET},
    ),
    Case(
        "plain http to another machine",
        "ECLINICALWORKS_FHIR_ENDPOINT uses plain http to example.org",
        "use https://",
        CREDENTIALS | {ENDPOINT: "http://example.org/fhir/r4"},
    ),
    Case(
        "an endpoint that is no URL",
        "ECLINICALWORKS_FHIR_ENDPOINT is not a URL",
        "write it like https://",
        CREDENTIALS | {ENDPOINT: "fhir.example.org"},
    ),
    Case(
        "an unknown provider",
        "ECW_PROVIDER is 'epic', which is no preset",
        "use one of: eclinicalworks",
        CREDENTIALS | {"ECW_PROVIDER": "epic"},
    ),
    Case(
        "an unknown resource type",
        "ECW_RESOURCE_TYPES: Value error, 'Pateint' is not a FHIR resource type (example: Patient)",
        "correct it and run again",
        CREDENTIALS | {"ECW_RESOURCE_TYPES": "Condition,Pateint"},
    ),
    Case(
        "a bad number",
        "ECW_EXPORT_DEADLINE_MINUTES: Input should be a valid number",
        "correct it and run again",
        CREDENTIALS | {"ECW_EXPORT_DEADLINE_MINUTES": "soon"},
    ),
    Case(
        "a bad number for the demo",
        "ECW_EXPORT_DEADLINE_MINUTES: Input should be a valid number",
        "correct it and run again",
        {"ECW_EXPORT_DEADLINE_MINUTES": "soon"},
        ("demo", "--patients", "1"),
    ),
    Case(
        "a bad rate",
        "ECW_RATE_WINDOWS: 'fast' is not a window",
        "write 7/1s",
        CREDENTIALS | {"ECW_RATE_WINDOWS": "fast"},
    ),
    Case(
        "a setting in .env",
        "in the environment or .env: ECW_EXPORT_LEVEL: Input should be",
        "correct it and run again",
        CREDENTIALS,
        files={".env": "ECW_EXPORT_LEVEL=practice\n"},
    ),
    Case(
        "a connections file that is not there",
        "ECW_CONNECTIONS names practices.toml, which cannot be read",
        "point ECW_CONNECTIONS at a TOML file",
        CREDENTIALS | CONNECTIONS,
    ),
    Case(
        "bad TOML",
        "practices.toml is not TOML: ",
        "mend the file",
        CONNECTIONS,
        files={"practices.toml": "[connections.west\n"},
    ),
    Case(
        "a secret in the connections file",
        "practices.toml, [connections.west] holds a secret",
        "name the variable or file that holds it",
        CONNECTIONS,
        files={"practices.toml": f'[connections.west]\nclient_secret = "{SECRET}"\n'},
    ),
    Case(
        "an unknown key in the connections file",
        "practices.toml, [connections.west]: secret: Extra inputs are not permitted",
        "correct it and run again",
        CONNECTIONS,
        files={"practices.toml": f'[connections.west]\nsecret = "{SECRET}"\n'},
    ),
    Case(
        "no warehouse yet",
        "there is no warehouse at ",
        "fill it first: ecw export, or ecw demo",
        words=("sql", "SELECT 1"),
    ),
    Case(
        "nothing to rebuild from",
        "no export has landed in ",
        "fill it first: ecw export",
        words=("rebuild",),
    ),
    Case(
        "a table that is none",
        "there is no table 'patients'",
        "did you mean patient?",
        words=("rebuild", "--table", "patients"),
    ),
    Case(
        "a sandbox that others could reach",
        "the sandbox would listen on 0.0.0.0",
        "use 127.0.0.1",
        words=("sandbox", "--port", "0", "--host", "0.0.0.0"),
    ),
    Case(
        "a fault that is none",
        "there is no fault 'html_402'",
        "see what there is with: ecw sandbox --list-faults",
        words=("sandbox", "--port", "0", "--faults", "faults.json"),
        files={"faults.json": '{"html_402": {}}'},
    ),
)


@dataclass(frozen=True)
class Refused:
    """A case, where it ran and how it ended."""

    case: Case
    place: Place
    ended: Finished


@pytest.fixture(scope="module", params=CASES, ids=lambda case: case.name)
def refused(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Refused:
    case: Case = request.param
    place = Place(tmp_path_factory.mktemp("refused"))
    place.work.mkdir()
    for name, text in case.files.items():
        (place.work / name).write_text(text, encoding="utf-8")
    return Refused(case, place, place.run(*case.words, settings=case.settings))


def test_a_refusal_names_the_setting_or_file(refused: Refused) -> None:
    assert refused.ended.stderr.startswith("error: ")
    assert refused.case.message in refused.ended.stderr


def test_a_refusal_says_what_to_do(refused: Refused) -> None:
    assert f"\n  next: {refused.case.next_step}" in refused.ended.stderr


def test_a_refusal_is_two_lines_without_traceback(refused: Refused) -> None:
    assert len(refused.ended.stderr.splitlines()) == 2


def test_a_refused_setting_has_its_exit_code(refused: Refused) -> None:
    assert refused.ended.exit_code == 3


def test_a_refusal_holds_no_secret(refused: Refused) -> None:
    assert SECRET not in refused.ended.stderr + refused.ended.stdout


def test_a_refusal_leaves_no_data_folder(refused: Refused) -> None:
    assert not refused.place.data.exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("exprot",), "No such command 'exprot'"),
        (("export", "--fully"), "No such option: --fully"),
        (("export", "--since", "yesterday"), "Invalid value for '--since': not a FHIR instant"),
        (("export", "--full", "--since", "2026-01-31"), "--full asks for more than --since"),
        (("demo", "--patients", "0"), "Invalid value for '--patients'"),
    ],
)
def test_words_that_are_none_are_the_commands_own_refusal(
    place: Place, words: tuple[str, ...], said: str
) -> None:
    ended = place.run(*words)

    assert ended.exit_code == 2
    assert said in ended.stderr
    assert not place.data.exists()


def test_a_service_with_debug_shows_no_traceback(place: Place) -> None:
    settings = CREDENTIALS | {ENDPOINT: "http://example.org", "ECW_DEBUG": "1"}

    assert "Traceback" not in place.run("export", settings=settings).stderr


def test_debug_shows_the_traceback_and_keeps_the_exit_code(place: Place) -> None:
    ended = place.run("--debug", "export", settings=CREDENTIALS | {ENDPOINT: "http://example.org"})

    assert "Traceback (most recent call last)" in ended.stderr
    assert SECRET not in ended.stderr
    assert ended.exit_code == 3


# --- what is noticed only on the network ------------------------------------------------------


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port: int = closed.getsockname()[1]
    return port


@pytest.fixture(scope="module")
def unreachable(tmp_path_factory: pytest.TempPathFactory, sandbox: RunningSandbox) -> Refused:
    place = Place(tmp_path_factory.mktemp("unreachable"))
    wrong = {
        ENDPOINT: f"http://127.0.0.1:{closed_port()}/fhir/r4",
        "ECLINICALWORKS_CLIENT_SECRET": SECRET,
    }
    case = Case("unreachable", "cannot reach 127.0.0.1", f"check the network and {ENDPOINT}")
    return Refused(case, place, place.run("export", settings=settings_for(sandbox) | wrong))


@pytest.fixture(scope="module")
def wrong_secret(tmp_path_factory: pytest.TempPathFactory, sandbox: RunningSandbox) -> Refused:
    place = Place(tmp_path_factory.mktemp("wrong_secret"))
    wrong = {"ECLINICALWORKS_CLIENT_SECRET": SECRET}
    case = Case(
        "wrong secret",
        "the server refused the credentials of connection 'practice'",
        "check ECLINICALWORKS_CLIENT_ID and ECLINICALWORKS_CLIENT_SECRET",
    )
    return Refused(case, place, place.run("export", settings=settings_for(sandbox) | wrong))


@pytest.fixture(params=["unreachable", "wrong_secret"])
def turned_away(request: pytest.FixtureRequest) -> Refused:
    found: Refused = request.getfixturevalue(request.param)
    return found


def test_an_unreachable_host_is_worth_another_try(unreachable: Refused) -> None:
    assert unreachable.ended.exit_code == 4


def test_wrong_credentials_are_a_setting(wrong_secret: Refused) -> None:
    assert wrong_secret.ended.exit_code == 3


def test_who_is_turned_away_is_told_why_and_what_to_do(turned_away: Refused) -> None:
    message, next_step = turned_away.ended.stderr.splitlines()

    assert message.startswith(f"error: {turned_away.case.message}")
    assert next_step.startswith(f"  next: {turned_away.case.next_step}")


def test_who_is_turned_away_reads_no_secret(turned_away: Refused) -> None:
    assert SECRET not in turned_away.ended.stderr + turned_away.ended.stdout


def test_who_is_turned_away_keeps_only_what_the_next_run_needs(turned_away: Refused) -> None:
    assert [path.name for path in turned_away.place.data.iterdir()] == ["state"]
    assert not list(turned_away.place.data.rglob("*.duckdb"))


def test_who_was_turned_away_comes_in_with_the_right_settings(
    turned_away: Refused, sandbox: RunningSandbox
) -> None:
    ended = turned_away.place.run("export", "--no-wait", settings=settings_for(sandbox))

    assert (ended.exit_code, ended.stderr) == (0, "")
    assert ": requested, changes since the beginning\n" in ended.stdout


# --- this machine -----------------------------------------------------------------------------

LITTLE_KIB = 32
SOME_KIB = 2048

_LIMITED = """import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size}))
from ecw_pipeline.cli.app import main
main()"""


@contextmanager
def full_disk(folder: Path, size_kib: int) -> Iterator[tuple[str, ...]]:
    """Make ``folder`` a disk of that size while the block lasts; yields the program to run.

    Where nothing may be mounted, no file may grow beyond that size, which comes close.
    """
    folder.mkdir()
    options = f"size={size_kib}k"
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    is_root = os.geteuid() == 0
    if is_root and subprocess.run(mount, capture_output=True, check=False).returncode == 0:
        try:
            yield ECW
        finally:
            subprocess.run(["umount", str(folder)], check=True)
    else:
        yield (sys.executable, "-c", _LIMITED.format(size=size_kib * 1024))


@dataclass(frozen=True)
class Filled:
    """An export that filled the disk, what it had published, and the same one with room again."""

    full: Finished
    is_published: bool
    again: Finished


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory, sandbox: RunningSandbox) -> Filled:
    place = Place(tmp_path_factory.mktemp("filled"))
    settings = settings_for(sandbox, "Patient")
    with full_disk(place.data, SOME_KIB) as program:
        full = place.run("export", settings=settings, program=program)
        is_published = (place.data / "warehouse.duckdb").exists()
        if program == ECW:
            more = ["mount", "-o", "remount,size=300m", str(place.data)]
            subprocess.run(more, check=True)
        return Filled(full, is_published, place.run("export", settings=settings))


def test_a_full_disk_is_told_with_the_file_that_found_no_room(filled: Filled) -> None:
    message, next_step = filled.full.stderr.splitlines()

    assert message.startswith("error: ")
    assert "warehouse.duckdb" in message
    assert next_step.startswith("  next: free ")


def test_a_disk_without_room_for_the_ledger_is_told_so(
    place: Place, sandbox: RunningSandbox
) -> None:
    with full_disk(place.data, LITTLE_KIB) as program:
        ended = place.run("export", settings=settings_for(sandbox), program=program)

    assert ended.exit_code == 8
    assert f"the ledger {place.data}/state/ledger.sqlite cannot be used" in ended.stderr
    assert "  next: free space" in ended.stderr


def test_a_full_disk_has_its_exit_code(filled: Filled) -> None:
    assert filled.full.exit_code == 8


def test_a_full_disk_publishes_nothing(filled: Filled) -> None:
    assert not filled.is_published


def test_with_room_again_the_same_command_continues(filled: Filled) -> None:
    assert (filled.again.exit_code, filled.again.stderr) == (0, "")


def test_a_full_disk_stops_the_demo_in_words(place: Place) -> None:
    with full_disk(place.data, 600) as program:
        ended = place.run("demo", "--patients", "2", program=program)

    message, next_step = ended.stderr.splitlines()[-2:]  # Dagster may have warned before
    assert ended.exit_code == 8
    assert message.startswith("error: ")
    assert next_step.startswith("  next: free ")
    assert "Traceback" not in ended.stderr


def test_a_data_folder_that_is_a_file_is_named(place: Place, sandbox: RunningSandbox) -> None:
    place.data.write_bytes(b"")
    ended = place.run("export", settings=settings_for(sandbox))

    assert ended.exit_code == 8
    assert str(place.data) in ended.stderr
    assert len(ended.stderr.splitlines()) == 2
