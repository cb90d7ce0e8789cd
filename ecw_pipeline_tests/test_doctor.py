"""The doctor names the link that is broken, and what to do about it."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwk

from ecw_pipeline.clock import ManualClock
from ecw_pipeline.doctor import Finding, examine_chain
from ecw_pipeline.fhir_client.keys import key_set, new_key
from ecw_pipeline.sandbox.server import RunningSandbox, SandboxConfig, Window, running_sandbox
from ecw_pipeline.settings import Settings
from ecw_pipeline.stages.lake import Lake
from ecw_pipeline_tests.builders import connection, present
from ecw_pipeline_tests.fhir_client.test_sign_in import app, revoke, signed_in
from ecw_pipeline_tests.odd_server import OddServer, odd_server, raw

KEY = jwk.ECKey.generate_key("P-384", {"kid": "ec-1", "use": "sig"})
PUBLIC = {"keys": [KEY.as_dict(private=False)]}


@pytest.fixture(scope="module")
def shared() -> Iterator[RunningSandbox]:
    windows = (Window(1_000_000, 86_400.0, "calendar"),)
    with running_sandbox(SandboxConfig(port=0, patients=1, windows=windows, jwks=PUBLIC)) as made:
        yield made


@pytest.fixture
def sandbox(
    shared: RunningSandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[RunningSandbox]:
    monkeypatch.setenv("ECW_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    shared.faults.replace({})
    yield shared
    shared.faults.replace({})


def examined(
    sandbox: RunningSandbox, clock: ManualClock | None = None, **changes: Any
) -> dict[str, Finding]:
    """What is found, by link."""
    lake = Lake(Settings.from_environment(), clock or present())
    found = examine_chain(lake, connection(sandbox.base_url, **changes))
    return {finding.link: finding for finding in found}


def bad(found: dict[str, Finding]) -> dict[str, str]:
    return {link: one.status for link, one in found.items() if one.status != "ok"}


def key_file(folder: Path, key: Any = KEY, mode: int = 0o600) -> Path:
    path = folder / "key.jwk"
    path.write_text(json.dumps(key.as_dict(private=True)))
    path.chmod(mode)
    return path


def test_a_chain_that_holds_has_nothing_to_do(sandbox: RunningSandbox) -> None:
    found = examined(sandbox)

    assert bad(found) == {}
    assert found["scopes"].said == "system/*.read"
    assert "permitted" in found["kick off"].said
    assert len(found) == 14


def test_a_sign_in_that_is_over_is_found(sandbox: RunningSandbox) -> None:
    folder = Lake(Settings.from_environment(), present()).folder
    one = app(sandbox.base_url)
    token = signed_in(one, folder, present())

    assert examined(sandbox)["sign in"].said == f"searches ask as who signed in: {token.scope}"
    revoke(sandbox, token.refresh_token)
    later = present()
    later.advance(280)
    found = examined(sandbox, later)
    assert bad(found)["sign in"] == "failed"
    assert "ecw login" in found["sign in"].next_step


def test_no_export_is_left_behind(sandbox: RunningSandbox) -> None:
    examined(sandbox)

    assert Lake(Settings.from_environment(), present()).ledger.exports() == []


@pytest.fixture
def taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OddServer]:
    """A server that takes any kick-off; where its status is, the test says."""
    monkeypatch.setenv("ECW_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    with odd_server() as odd:
        smart = json.dumps({"token_endpoint": f"{odd.url}/token"})
        odd.answers("/r4/.well-known/smart-configuration", raw(200, smart.encode()))
        odd.answers("/token", raw(200, b'{"access_token": "abc"}'))
        rest = {"resource": [{"type": "Patient"}], "operation": [{"name": "export"}]}
        odd.answers("/r4/metadata", raw(200, json.dumps({"rest": [rest]}).encode()))
        yield odd


def kick_off_found(odd: OddServer) -> Finding:
    lake = Lake(Settings.from_environment(), present())
    found = examine_chain(lake, connection(odd.url + "/r4"))
    return next(finding for finding in found if finding.link == "kick off")


def test_an_export_that_is_taken_elsewhere_is_not_cancelled_there(taken: OddServer) -> None:
    with odd_server() as other:
        taken.answers("/r4/$export", raw(202, content_location=f"{other.url}/status/1"))

        assert kick_off_found(taken).status == "warning"
        assert other.arrivals == []


def test_an_operation_that_is_not_known_is_not_taken_for_permitted(taken: OddServer) -> None:
    taken.answers("/r4/$export", raw(400, b'{"issue": [{"diagnostics": "unknown: $export"}]}'))

    found = kick_off_found(taken)

    assert found.status == "warning"
    assert "ECW_EXPORT_LEVEL" in found.next_step


def test_an_export_that_is_asked_for_by_post_alone_is_not_taken_for_refused(
    taken: OddServer,
) -> None:
    taken.answers("/r4/$export", raw(405, allow="POST"))

    found = kick_off_found(taken)

    assert (found.status, found.next_step.partition(";")[0]) == ("warning", "try: ecw export")


def test_an_export_that_is_taken_without_a_status_url_is_told(taken: OddServer) -> None:
    taken.answers("/r4/$export", raw(202))

    assert "Content-Location" in kick_off_found(taken).said
    assert {one.method for one in taken.arrivals if one.path == "/r4/$export"} == {"GET"}


@pytest.mark.parametrize(
    ("faults", "link", "status", "words"),
    [
        ({"access_denied": {}}, "token", "failed", "ECLINICALWORKS_CLIENT_ID"),
        ({"scope_spelling": {}}, "none", "", ""),
        ({"refused_scopes": {"resource_types": ["*"]}}, "token", "failed", "granted"),
        ({"clock_skew": {"minutes": 10}}, "clock", "warning", "NTP"),
        ({"error_status": {"on": "kickoff", "status": 500}}, "kick off", "warning", "ecw export"),
        ({"error_status": {"on": "kickoff", "status": 403}}, "kick off", "failed", "permit"),
        ({"error_status": {"on": "token"}}, "token", "failed", "run again"),
    ],
)
def test_a_fault_is_found_at_its_link(
    sandbox: RunningSandbox, faults: dict[str, Any], link: str, status: str, words: str
) -> None:
    sandbox.faults.replace(faults)

    found = examined(sandbox)

    assert bad(found) == ({link: status} if status else {})
    assert not status or words in found[link].next_step


def test_types_that_are_not_to_be_had_are_told(sandbox: RunningSandbox) -> None:
    sandbox.faults.replace({"fewer_scopes": {"resource_types": ["Task"]}})

    found = examined(sandbox, resource_types=("Patient", "Task", "Basic"), scopes=ASKED)

    assert bad(found) == {"scopes": "warning", "types": "warning"}
    assert "system/Task.read" in found["scopes"].said
    assert found["types"].said.startswith("not offered by this server: Basic; not granted")


ASKED = "system/Patient.read system/Task.read"


def test_a_wrong_secret_ends_the_examination(sandbox: RunningSandbox) -> None:
    found = examined(sandbox, client_secret="wrong")

    assert bad(found) == {"token": "failed"}
    assert list(found)[-1] == "token"
    assert found["token"].exit_code == 3


def test_a_wrong_path_is_found_at_the_discovery(sandbox: RunningSandbox) -> None:
    found = examined(sandbox, fhir_endpoint=sandbox.server_url + "/elsewhere")

    assert found["discovery"].status == "failed"
    assert "ECLINICALWORKS_FHIR_ENDPOINT" in found["discovery"].next_step


def test_a_name_that_does_not_resolve_is_told(
    sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", fails)

    found = examined(sandbox)

    assert (found["address"].exit_code, list(found)) == (4, ["address"])


def test_a_port_where_nobody_listens_is_told(sandbox: RunningSandbox) -> None:
    found = examined(sandbox, fhir_endpoint="http://127.0.0.1:1/fhir/r4")

    assert (bad(found), list(found)[-1]) == ({"network": "failed"}, "network")


def test_a_key_that_others_may_read_is_told(sandbox: RunningSandbox, tmp_path: Path) -> None:
    found = examined(sandbox, private_key_file=key_file(tmp_path, mode=0o644))

    assert "chmod 600" in found["credentials"].next_step


def test_a_key_that_is_not_published_is_told(sandbox: RunningSandbox, tmp_path: Path) -> None:
    path = key_file(tmp_path)
    other = {"keys": [{**PUBLIC["keys"][0], "x": "AAAA"}]}
    with odd_server() as odd:
        odd.answers("/none", raw(404))
        odd.answers("/right", raw(200, json.dumps(key_set([path])).encode()))
        odd.answers("/other", raw(200, json.dumps(other).encode()))
        said = {
            name: examined(sandbox, private_key_file=path, jwks_url=f"{odd.url}/{name}")
            for name in ("none", "right", "other")
        }
    unset = examined(sandbox, private_key_file=path)

    assert bad(said["right"]) == {}
    assert "no key with kid ec-1" in said["none"]["published key"].said
    assert "another key with kid ec-1" in said["other"]["published key"].said
    assert bad(unset) == {"published key": "warning"}


def test_a_group_that_cannot_be_read_is_told(sandbox: RunningSandbox) -> None:
    found = examined(sandbox, level="group", group_id="nobody")

    assert "ECW_GROUP_ID" in found["group"].next_step


def test_a_secret_file_that_others_may_read_is_told(
    sandbox: RunningSandbox, tmp_path: Path
) -> None:
    (tmp_path / ".env").touch(0o644)
    (tmp_path / ".env").chmod(0o644)

    assert bad(examined(sandbox)) == {"credentials": "warning"}


def test_a_made_key_is_private_and_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "made.jwk"
    made = new_key(path, "ES384")

    (public,) = key_set([path])["keys"]
    assert path.stat().st_mode & 0o777 == 0o600
    assert public["kid"] == made.kid
    assert (public["alg"], public["use"]) == ("ES384", "sig")
    assert "d" not in public
    with pytest.raises(Exception, match="exists already"):
        new_key(path, "ES384")
