"""Files are served as they are; days change the copy, not the files."""

import gzip
import json
from pathlib import Path

import pytest

from ecw_pipeline.errors import ConfigurationError
from ecw_pipeline.sandbox.server import create_app
from ecw_pipeline_tests.sandbox.harness import Visitor, quick, visiting

LINES = b'{"resourceType": "Observation", "id": "%d",  "valueQuantity": {"value": 1.10}}\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twenty observations in two files, one of them gzip and without a last newline; a patient."""
    lines = [LINES % number for number in range(20)]
    (tmp_path / "Observation.000.ndjson").write_bytes(b"".join(lines[:10]))
    packed = gzip.compress(b"".join(lines[10:]).rstrip(b"\n"))
    (tmp_path / "Observation.001.ndjson.gz").write_bytes(packed)
    patient = '{"resourceType":"Patient","id":"ann","meta":{"lastUpdated":"2025-03-01T00:00:00Z"}}'
    (tmp_path / "Patient.ndjson").write_text(patient + "\n", encoding="utf-8")
    (tmp_path / "README.md").write_text("not data", encoding="utf-8")
    return tmp_path


def body(visitor: Visitor, resource_type: str, **parameters: str) -> bytes:
    """The bytes of a type's files."""
    manifest = visitor.export("", _type=resource_type, **parameters)
    return b"".join(visitor.get(item["url"]).content for item in manifest["output"])


def test_lines_go_out_byte_for_byte(folder: Path) -> None:
    with visiting(quick(data=folder)) as someone:
        sent = body(someone.sign_in(), "Observation")

    assert sent == b"".join(LINES % number for number in range(20))


def test_since_filters_by_last_updated_and_keeps_what_does_not_say(folder: Path) -> None:
    with visiting(quick(data=folder)) as someone:
        someone.sign_in()
        since = "2025-06-01T00:00:00Z"

        assert body(someone, "Patient", _since=since) == b""
        assert body(someone, "Patient", _since="2025-01-01T00:00:00Z") != b""
        assert len(body(someone, "Observation", _since=since).splitlines()) == 20


def test_a_day_does_exactly_what_its_reply_says(folder: Path) -> None:
    with visiting(quick(data=folder)) as someone:
        first = someone.sign_in().export()
        ids = someone.advance(1)["ids"]
        manifest = someone.export(_since=first["transactionTime"])
        after = {json.loads(line)["id"]: line for line in body(someone, "Observation").splitlines()}
        bundles = someone.lines(manifest, "deleted")

    gone = {entry["request"]["url"] for bundle in bundles for entry in bundle["entry"]}
    assert gone == {f"Observation/{name}" for name in ids["deleted"]["Observation"]}
    changed, new = ids["changed"]["Observation"], ids["new"]["Observation"]
    before = {str(number) for number in range(20)}
    assert after.keys() == before - set(ids["deleted"]["Observation"]) | set(new)
    assert all(json.loads(after[name])["status"] == "amended" for name in changed)
    assert all(b'"value":1.10' in after[name] for name in (*changed, *new))
    untouched = after.keys() - set(changed) - set(new)
    assert all(after[name] + b"\n" == LINES % int(name) for name in untouched)


@pytest.mark.parametrize("name", ["missing", ""])
def test_a_folder_with_nothing_to_serve_is_said_by_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match=tmp_path.name):
        create_app(quick(data=tmp_path / name))
