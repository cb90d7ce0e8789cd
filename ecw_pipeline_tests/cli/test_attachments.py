"""`ecw attachments` as a person and a script run it."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ecw_pipeline.cli.app import app
from ecw_pipeline.errors import ConfigurationError
from ecw_pipeline_tests.stages.documents import binary, document, office


def _say(*words: str) -> str:
    told = CliRunner().invoke(app, ["attachments", *words], catch_exceptions=False)
    assert told.exit_code == 0, told.output
    return told.stdout


def test_it_says_what_came_to_people_and_to_scripts(tmp_path: Path) -> None:
    documents = (document("d1", url="Binary/b1"), document("d2", url="Binary/none"))
    with office(tmp_path, *documents, binary("b1")) as one:
        said = _say()
        assert "practice: 1 fetched, 1 gone" in said
        assert f"1 of 2 brought now: {one.lake.folder.attachments}" in said

        counts = {"fetched": 1, "gone": 1}
        told = json.loads(_say("--json", "--retry"))
        assert told == {"states": {"practice": counts}, "settled": 1, "fetched": 0}


def test_a_connection_that_cannot_be_asked_is_an_error(tmp_path: Path) -> None:
    with office(tmp_path, document("d1", url="Binary/b1")) as one:
        one.practice.set("ECLINICALWORKS_CLIENT_SECRET", "wrong")
        one.lake.folder.token("practice").unlink()

        with pytest.raises(ConfigurationError, match="refused the credentials"):
            CliRunner().invoke(app, ["attachments"], catch_exceptions=False)
