"""The rehearsal of docs/connecting.md: a key, a sandbox that knows it, and a first answer."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from ecw_pipeline_tests.cli.command import Place

PAGE = (Path(__file__).parents[2] / "docs" / "connecting.md").read_text("utf-8")
SERVING, ASKING = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
BIN = str(Path(sys.executable).parent)


def _typed(commands: str, folder: Path) -> "subprocess.Popen[str]":
    """The commands as typed into a terminal of its own; of one type alone, to be quick."""
    path = f"{BIN}:{os.environ['PATH']}"
    return subprocess.Popen(
        ["bash", "-euc", commands],
        cwd=folder,
        env={"PATH": path, "HOME": str(folder), "COLUMNS": "120", "ECW_RESOURCE_TYPES": "Patient"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_a_key_and_a_sandbox_that_knows_it_lead_to_an_answer(tmp_path: Path) -> None:
    serving = SERVING.replace("--patients 20", "--patients 3 --port 0")
    with _typed(serving, tmp_path) as server:
        try:
            assert server.stdout is not None
            ready = next(line for line in server.stdout if line.startswith("sandbox ready: "))
            url = ready.removeprefix("sandbox ready: ").strip()
            asking = ASKING.replace("http://127.0.0.1:8090/fhir/r4", url) + "\necw status\n"
            with _typed(asking, tmp_path) as asked:
                said, errors = asked.communicate(timeout=240)
        finally:
            os.killpg(server.pid, signal.SIGINT)

    assert asked.returncode == 0, errors
    assert "signs by RS384" in said
    _, _, told = said.partition("\npatients\n       3\n")
    assert "  loaded  the beginning" in told
    assert "late" not in told


def test_a_file_that_is_no_key_set_is_named(place: Place) -> None:
    wrong = place.folder / "jwks.json"
    wrong.write_text('{"keys": [{"kty": "?"}]}', encoding="utf-8")

    ended = place.run("sandbox", "--port", "0", "--jwks", str(wrong))

    assert (ended.exit_code, ended.stdout) == (3, "")
    assert ended.stderr.startswith(f"error: {wrong} is no JWK Set: ")
    assert "ecw keys jwks" in ended.stderr
