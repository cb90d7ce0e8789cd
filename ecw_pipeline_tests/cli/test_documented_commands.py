"""Every command on a page is run, with what it stands for put in for what a reader would."""

import re
import shlex
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner, Result

from ecw_pipeline.cli.app import app
from ecw_pipeline.fhir_client.keys import new_key
from ecw_pipeline.sandbox.server import RunningSandbox
from ecw_pipeline_tests.cli.command import Place, settings_for
from ecw_pipeline_tests.shared_data import shared_folder
from ecw_pipeline_tests.test_documentation import PAGES, ROOT, blocks

TESTS = Path(__file__).parent
PATIENT = "pat-000001"
VIEW = "my_views/patient_contact_point.json"
PARTS = {
    "keys new FILE": "keys new made.jwk",
    "keys new practice.jwk": "keys new another.jwk",
    "TYPE/ID": f"Patient/{PATIENT}",
    "Type/id": f"Patient/{PATIENT}",
    "keys jwks FILE": "keys jwks practice.jwk",
    "old.jwk new.jwk": "practice.jwk practice.jwk",
    "FILE NDJSON": f"{VIEW} data/landing/*/*/Patient/*.ndjson.gz",
    "--output FILE": "--output page.html",
    "check FILE": f"check {VIEW}",
    "compile FILE": f"compile {VIEW}",
    "--patient 123": f"--patient {PATIENT}",
    "--patient ID": f"--patient {PATIENT}",
    "parquet DIR": "parquet unloaded",
    "patient=…": f"patient={PATIENT}",
    '"…"': '"select 1"',
    "test FOLDER": "test",
}
# What does not end by itself, or asks a person: the tests that run it.
ELSEWHERE = {
    "demo": "test_demo.py",
    "dev": "test_demo.py",
    "init": "test_init.py",
    "login": "test_login.py",
    "sandbox": "test_commands.py",
    "sandbox --faults faults.toml": "test_commands.py",
    "sandbox --patients 20 --jwks jwks.json": "test_rehearsal.py",
    "serve": "test_documented_commands.py",
    "serve --land": "test_documented_commands.py",
}
# Named in a sentence without what they need.
NAMED = {"--debug", "keys jwks", "unload", "search", "view check", "view compile --with-keys"}


def documented_commands() -> list[str]:
    """What stands behind `ecw` in blocks and in the midst of sentences, without what is piped."""
    in_blocks = re.findall(r"^(?:\w+=\S+ )*(?:\.venv/bin/)?ecw ([^#>|\n]+)", PAGES, re.MULTILINE)
    found = in_blocks + re.findall(r"`(?:\.venv/bin/)?ecw ([^`]+)`", PAGES)
    return sorted({" ".join(words.strip(" …").split()) for words in found})


@pytest.mark.parametrize("words", documented_commands())
def test_every_documented_command_is_understood(words: str) -> None:
    """Options are read before help is given: one that does not exist is an error."""
    asked = CliRunner().invoke(app, [*shlex.split(words), "--help"])

    assert asked.exit_code == 0, asked.output


@pytest.fixture
def practice_folder(
    sandbox: RunningSandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The folder of a practice that has exported, with a key and a view of its own."""
    settings = settings_for(sandbox, "Patient,Observation,Condition,Task,DocumentReference") | {
        "ECW_DATA": str(tmp_path / "data"),
        "ECW_GROUP_ID": "all-patients",
        "SQL_ON_FHIR_TESTS": str(shared_folder("sql-on-fhir")),
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    new_key(tmp_path / "practice.jwk", "RS384")
    (tmp_path / "my_views").mkdir()
    (tmp_path / VIEW).write_text(blocks("json")[0], encoding="utf-8")
    return tmp_path


def _typed(words: str) -> Result:
    for part, stand_in in PARTS.items():
        words = words.replace(part, stand_in)
    found = [
        sorted(map(str, Path().glob(word))) if "*" in word else [word]
        for word in shlex.split(words)
    ]
    return CliRunner().invoke(app, [word for words in found for word in words])


@pytest.mark.usefixtures("practice_folder")
def test_every_documented_command_does_its_work() -> None:
    filled = _typed("export")
    assert filled.exit_code == 0, filled.output

    wanted = [words for words in documented_commands() if words not in {*ELSEWHERE, *NAMED}]
    ended = {words: _typed(words) for words in wanted}

    assert len(wanted) >= 30
    failed = {words: (end.exception, end.output) for words, end in ended.items() if end.exit_code}
    assert failed == {}
    assert "<h1" in Path("page.html").read_text("utf-8")
    assert Path("unloaded").is_dir()
    assert Path("made.jwk").is_file()


@pytest.mark.parametrize(("words", "module"), sorted(ELSEWHERE.items()))
def test_what_does_not_end_by_itself_is_run_by_another_test(words: str, module: str) -> None:
    assert words in documented_commands()
    command = words.split()[0]
    text = (TESTS / module).read_text("utf-8")

    assert re.search(
        rf'start\(\s*"{command}"|run\(\s*"{command}"|\["{command}"\]|ecw {command}|'
        rf'words = \("{command}"',
        text,
    )


def test_the_documented_call_is_answered(sandbox: RunningSandbox, place: Place) -> None:
    page = (ROOT / "docs" / "api.md").read_text("utf-8")
    ((method, path, body),) = re.findall(
        r"curl -s -X (\w+) http://127.0.0.1:8070(\S+) .*? -d '(\{.*?\})'", page, re.DOTALL
    )

    settings = settings_for(sandbox, "Patient,Observation")
    with place.start("serve", "--land", "--port", "0", settings=settings) as child:
        try:
            assert child.stdout is not None
            ready = next(line for line in child.stdout if line.startswith("API ready: "))
            url = ready.removeprefix("API ready: ").strip()
            headers = {"content-type": "application/json"}
            reply = httpx.request(method, url + path, content=body, headers=headers)
        finally:
            child.terminate()

    assert reply.status_code == 202, reply.text
    assert reply.json()["data"]["statusUrl"].startswith(path)


def test_every_documented_target_is_in_the_makefile() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = set(re.findall(r"(?:^|`|&& )make (\w+)", PAGES, re.MULTILINE))

    assert len(named) >= 5
    assert named <= targets
