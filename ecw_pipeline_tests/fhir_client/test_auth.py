"""Tokens are fetched with proof, shared, kept private and renewed in time."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc import jwk, jwt

from ecw_pipeline.errors import (
    ConfigurationError,
    EcwError,
    MachineError,
    ProtocolError,
    TemporaryError,
)
from ecw_pipeline.fhir_client.auth import BearerAuth, Token, TokenSource
from ecw_pipeline.fhir_client.keys import sign_assertion
from ecw_pipeline.fhir_client.providers import Connection
from ecw_pipeline.sandbox.server import RunningSandbox, SandboxConfig, Window, running_sandbox
from ecw_pipeline.settings import AuthKind
from ecw_pipeline_tests.builders import connection, mode_of, monday_clock, present, unwritable
from ecw_pipeline_tests.odd_server import OddServer, odd_server, raw

SECRET = "s3cret-Value-9"
RSA_KEY = jwk.RSAKey.generate_key(2048, {"kid": "rsa-1", "use": "sig"})
EC_KEY = jwk.ECKey.generate_key("P-384", {"kid": "ec-1", "use": "sig"})
PUBLIC = {"keys": [RSA_KEY.as_dict(private=False), EC_KEY.as_dict(private=False)]}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[RunningSandbox]:
    windows = (Window(1_000_000, 86_400.0, "calendar"),)
    config = SandboxConfig(port=0, patients=1, windows=windows, jwks=PUBLIC)
    with running_sandbox(config) as running:
        yield running


@pytest.fixture(scope="module")
def odd() -> Iterator[OddServer]:
    with odd_server() as running:
        yield running


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    with httpx.Client() as client:
        yield client


def with_kind(base_url: str, kind: AuthKind, **changes: Any) -> Connection:
    return replace(connection(base_url, **changes), auth_kind=kind)


def key_file(folder: Path, text: str | bytes, mode: int = 0o600) -> Path:
    path = folder / "key"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    path.chmod(mode)
    return path


def with_key(base_url: str, path: Path, **changes: Any) -> Connection:
    return connection(base_url, client_secret=None, private_key_file=path, **changes)


def is_good(sandbox: RunningSandbox, token: Token, http: httpx.Client) -> bool:
    """Whether the sandbox lets this token in: an unknown export is 404 then, not 401."""
    url = f"{sandbox.base_url}/$export-status/none"
    headers = {"Authorization": f"Bearer {token.value}"}
    assert http.get(url, headers={"Authorization": "Bearer wrong"}).status_code == 401
    return http.get(url, headers=headers).status_code == 404


@pytest.mark.parametrize("kind", ["client_secret_basic", "client_secret_post"])
def test_a_secret_gets_a_token_that_is_good(
    sandbox: RunningSandbox, http: httpx.Client, tmp_path: Path, kind: AuthKind
) -> None:
    source = TokenSource(with_kind(sandbox.base_url, kind), http, tmp_path / "t", present())

    assert is_good(sandbox, source.current(), http)


@pytest.mark.parametrize("key", [RSA_KEY, EC_KEY], ids=["RS384", "ES384"])
@pytest.mark.parametrize("form", ["jwk", "pem"])
def test_a_private_key_gets_a_token_that_is_good(
    sandbox: RunningSandbox,
    http: httpx.Client,
    tmp_path: Path,
    key: jwk.RSAKey | jwk.ECKey,
    form: str,
) -> None:
    text = json.dumps(key.as_dict(private=True)) if form == "jwk" else key.as_pem(private=True)
    path = key_file(tmp_path, text)
    by_key = with_key(sandbox.base_url, path, key_id="" if form == "jwk" else key.kid)
    source = TokenSource(by_key, http, tmp_path / "t", present())

    assert is_good(sandbox, source.current(), http)


@pytest.mark.parametrize(("key", "name"), [(RSA_KEY, "RS384"), (EC_KEY, "ES384")])
def test_an_assertion_says_what_smart_asks_for(
    tmp_path: Path, key: jwk.RSAKey | jwk.ECKey, name: str
) -> None:
    clock = monday_clock()
    path = key_file(tmp_path, json.dumps(key.as_dict(private=True)))
    text = sign_assertion(with_key("https://a.org/r4", path), "https://a.org/token", clock)
    token = jwt.decode(text, key, algorithms=[name])

    now = clock.now().timestamp()
    assert token.header == {"alg": name, "kid": key.kid, "typ": "JWT"}
    assert token.claims["iss"] == token.claims["sub"] == "sandbox-client"
    assert token.claims["aud"] == "https://a.org/token"
    assert now < token.claims["exp"] <= now + 300


def test_no_two_assertions_are_the_same(tmp_path: Path) -> None:
    path = key_file(tmp_path, json.dumps(EC_KEY.as_dict(private=True)))
    one = with_key("https://a.org/r4", path)
    texts = [sign_assertion(one, "https://a.org/token", monday_clock()) for _ in range(2)]
    first, second = (jwt.decode(t, EC_KEY, algorithms=["ES384"]).claims["jti"] for t in texts)

    assert first != second


ENCRYPTED = RSA_KEY.as_pem(private=True, password="x")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "{}",
        "{",
        '{"kty": "RSA"}',
        json.dumps({"kty": "oct", "k": "c2VjcmV0" * 8}),
        json.dumps(RSA_KEY.as_dict(private=False)),
        RSA_KEY.as_pem(private=False),
        ENCRYPTED,
        b"\x30\x82\xff\xfe",
        json.dumps(jwk.ECKey.generate_key("P-256").as_dict(private=True)),
        json.dumps(jwk.OKPKey.generate_key("Ed25519").as_dict(private=True)),
    ],
)
def test_a_key_that_cannot_sign_is_named(tmp_path: Path, text: str | bytes) -> None:
    path = key_file(tmp_path, text)

    with pytest.raises(ConfigurationError, match="ECW_PRIVATE_KEY_FILE names"):
        sign_assertion(with_key("https://a.org/r4", path), "https://a.org/token", monday_clock())


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = key_file(tmp_path, json.dumps(RSA_KEY.as_dict(private=True)), mode=0o644)

    with pytest.raises(ConfigurationError, match="others may read"):
        sign_assertion(with_key("https://a.org/r4", path), "https://a.org/token", monday_clock())


def test_a_wrong_secret_names_the_settings_and_never_the_secret(
    sandbox: RunningSandbox, http: httpx.Client, tmp_path: Path
) -> None:
    wrong = connection(sandbox.base_url, client_secret=SECRET)

    with pytest.raises(ConfigurationError) as caught:
        TokenSource(wrong, http, tmp_path / "t", present()).current()
    assert "'practice'" in caught.value.message
    assert "ECLINICALWORKS_CLIENT_ID and ECLINICALWORKS_CLIENT_SECRET" in caught.value.next_step
    assert SECRET not in str(caught.value)


def test_a_scope_that_is_not_granted_names_its_setting(
    sandbox: RunningSandbox, http: httpx.Client, tmp_path: Path
) -> None:
    greedy = connection(sandbox.base_url, scopes="system/*.write")

    with pytest.raises(ConfigurationError, match="ECW_SCOPES"):
        TokenSource(greedy, http, tmp_path / "t", present()).current()


def test_a_token_is_shared_by_the_processes_of_a_connection(
    sandbox: RunningSandbox, http: httpx.Client, tmp_path: Path
) -> None:
    one = connection(sandbox.base_url)
    first = TokenSource(one, http, tmp_path / "t", present()).current()

    assert TokenSource(one, http, tmp_path / "t", present()).current() == first


def test_all_that_is_kept_is_its_owners_alone(
    sandbox: RunningSandbox, http: httpx.Client, tmp_path: Path
) -> None:
    TokenSource(connection(sandbox.base_url), http, tmp_path / "s" / "t.json", present()).current()

    assert mode_of(tmp_path / "s") == 0o700
    assert {mode_of(path) for path in (tmp_path / "s").iterdir()} == {0o600}


def test_a_token_is_renewed_before_it_ends(
    sandbox: RunningSandbox, http: httpx.Client, tmp_path: Path
) -> None:
    clock = present()
    source = TokenSource(connection(sandbox.base_url), http, tmp_path / "t", clock)
    first = source.current()
    clock.advance(200)
    assert source.current() == first
    clock.advance(80)

    assert source.current() != first


def test_a_refused_token_is_renewed_only_by_the_first_who_comes(
    sandbox: RunningSandbox, http: httpx.Client, tmp_path: Path
) -> None:
    one = connection(sandbox.base_url)
    old = TokenSource(one, http, tmp_path / "t", present()).current()
    new = TokenSource(one, http, tmp_path / "t", present()).current(refused=old.value)

    assert new != old
    assert TokenSource(one, http, tmp_path / "t", present()).current(refused=old.value) == new


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"value": 5}', "\0"])
def test_a_token_file_that_cannot_be_read_is_replaced(
    sandbox: RunningSandbox, http: httpx.Client, tmp_path: Path, text: str
) -> None:
    (tmp_path / "t").write_text(text)
    source = TokenSource(connection(sandbox.base_url), http, tmp_path / "t", present())

    assert is_good(sandbox, source.current(), http)


def test_a_folder_that_cannot_be_written_is_a_machine_error(
    sandbox: RunningSandbox, http: httpx.Client, tmp_path: Path
) -> None:
    source = TokenSource(connection(sandbox.base_url), http, tmp_path / "t", present())

    with unwritable(tmp_path), pytest.raises(MachineError):
        source.current()


# --- scopes that are refused ------------------------------------------------------------------


@pytest.fixture
def strict() -> Iterator[RunningSandbox]:
    windows = (Window(1_000_000, 86_400.0, "calendar"),)
    with running_sandbox(SandboxConfig(port=0, patients=1, windows=windows)) as running:
        yield running


def test_one_scope_that_is_refused_costs_that_type_alone(
    strict: RunningSandbox, http: httpx.Client, tmp_path: Path
) -> None:
    strict.faults.replace({"refused_scopes": {}})
    wanted = connection(strict.base_url, resource_types=("Patient", "Task", "Condition"))

    token = TokenSource(wanted, http, tmp_path / "t", present()).current()

    assert token.scope == "system/Patient.read system/Condition.read"
    assert is_good(strict, token, http)


def test_scopes_found_by_trying_are_tried_anew_after_a_day_only(
    strict: RunningSandbox, http: httpx.Client, tmp_path: Path
) -> None:
    clock = present()
    wanted = connection(strict.base_url, resource_types=("Patient", "Task"))
    source = TokenSource(wanted, http, tmp_path / "t", clock)
    strict.faults.replace({"refused_scopes": {}})
    source.current()
    strict.faults.replace({})
    clock.advance(3600)
    assert source.current().scope == "system/Patient.read"
    clock.advance(86_400)

    assert source.current().scope == "system/Patient.read system/Task.read"


def test_a_token_for_other_types_is_not_used(
    strict: RunningSandbox, http: httpx.Client, tmp_path: Path
) -> None:
    def scope(*types: str) -> str:
        wanted = connection(strict.base_url, resource_types=types)
        return TokenSource(wanted, http, tmp_path / "t", present()).current().scope

    assert scope("Patient") == "system/Patient.read"
    assert scope("Task") == "system/Task.read"


def test_scopes_that_are_all_refused_say_what_to_have_granted(
    strict: RunningSandbox, http: httpx.Client, tmp_path: Path
) -> None:
    strict.faults.replace({"refused_scopes": {"resource_types": ["Patient"]}})
    wanted = connection(strict.base_url, resource_types=("Patient",))

    with pytest.raises(ConfigurationError, match=r"have scopes .* granted"):
        TokenSource(wanted, http, tmp_path / "t", present()).current()


def test_each_attempt_at_a_token_brings_a_proof_of_its_own(
    sandbox: RunningSandbox, http: httpx.Client, tmp_path: Path
) -> None:
    path = key_file(tmp_path, json.dumps(EC_KEY.as_dict(private=True)))
    sandbox.faults.replace({"lost_reply": {"on": "token", "times": 2}})
    source = TokenSource(with_key(sandbox.base_url, path), http, tmp_path / "t", present())

    assert is_good(sandbox, source.current(), http)


def test_a_token_endpoint_named_in_the_settings_needs_no_discovery(
    odd: OddServer, http: httpx.Client, tmp_path: Path
) -> None:
    url = odd.answers("/elsewhere", token_reply())
    named = connection(odd.url + "/undiscoverable", token_url=url)

    assert TokenSource(named, http, tmp_path / "t", monday_clock()).current().value == "abc"


# --- servers with odd habits -----------------------------------------------------------------


def served(odd: OddServer, reply: bytes, **smart: str) -> str:
    """A base URL whose token endpoint gives this reply."""
    where = {"token_endpoint": odd.url + "/token"} | smart
    odd.answers("/r4/.well-known/smart-configuration", raw(200, json.dumps(where).encode()))
    odd.answers("/token", reply)
    return odd.url + "/r4"


def token_reply(**document: Any) -> bytes:
    return raw(200, json.dumps({"access_token": "abc", **document}).encode())


def asked(base_url: str, http: httpx.Client, tmp_path: Path) -> Token:
    return TokenSource(connection(base_url), http, tmp_path / "t", monday_clock()).current()


@pytest.mark.parametrize(
    ("document", "seconds"),
    [
        ({"expires_in": 60}, 60),
        ({"expires_in": "60"}, 60),
        ({"expires_in": 60.0}, 60),
        ({"expires_in": 10**20}, 300),
        ({}, 300),
        ({"expires_in": "x"}, 300),
    ],
)
def test_a_token_lives_as_long_as_it_says_or_five_minutes(
    odd: OddServer, http: httpx.Client, tmp_path: Path, document: dict[str, Any], seconds: int
) -> None:
    token = asked(served(odd, token_reply(**document)), http, tmp_path)

    assert token.expires_at == monday_clock().now().timestamp() + seconds


def test_a_token_that_lives_for_seconds_is_used_for_the_half_of_them(
    odd: OddServer, http: httpx.Client, tmp_path: Path
) -> None:
    base_url = served(odd, token_reply(expires_in=20))
    odd.answers("/token", *(token_reply(expires_in=20, access_token=name) for name in "ab"))
    clock = monday_clock()
    source = TokenSource(connection(base_url), http, tmp_path / "t", clock)
    first = source.current()
    clock.advance(9)
    assert source.current() == first
    clock.advance(2)
    assert source.current() != first


def test_a_token_may_be_given_as_created(
    odd: OddServer, http: httpx.Client, tmp_path: Path
) -> None:
    assert asked(served(odd, raw(201, b'{"access_token": "abc"}')), http, tmp_path).value == "abc"


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (raw(401, b"<html>no</html>", content_type="text/html"), ConfigurationError),
        (raw(400, b'{"error":"invalid_client"}'), ConfigurationError),
        (raw(500, b'{"error":"access_denied"}'), ConfigurationError),
        (raw(500, b"oops"), TemporaryError),
        (raw(307, location="https://elsewhere.example.org/token"), ConfigurationError),
        (raw(503), TemporaryError),
        (raw(429), TemporaryError),
        (raw(200, b"<html>sign in</html>"), ProtocolError),
        (raw(200, b'{"access_token": 5}'), ProtocolError),
        (raw(200, b"[]"), ProtocolError),
    ],
)
def test_who_must_act_when_there_is_no_token(
    odd: OddServer, http: httpx.Client, tmp_path: Path, reply: bytes, error: type[EcwError]
) -> None:
    base_url = served(odd, reply)

    with pytest.raises(error) as caught:
        asked(base_url, http, tmp_path)
    assert caught.value.next_step
    assert not (tmp_path / "t").exists()


@pytest.mark.parametrize("endpoint", ["http://192.0.2.1/token", "http://[bad", "/token", ""])
def test_no_secret_goes_to_an_endpoint_that_is_not_https(
    odd: OddServer, http: httpx.Client, tmp_path: Path, endpoint: str
) -> None:
    base_url = served(odd, token_reply(), token_endpoint=endpoint)

    with pytest.raises(ProtocolError, match="not https"):
        asked(base_url, http, tmp_path)


@pytest.mark.parametrize("reply", [raw(404), raw(200, b"<html>"), raw(200, b'{"a":1}')])
def test_an_address_that_is_no_smart_server_names_its_setting(
    odd: OddServer, http: httpx.Client, tmp_path: Path, reply: bytes
) -> None:
    odd.answers("/none/.well-known/smart-configuration", reply)

    with pytest.raises(ConfigurationError, match="ECLINICALWORKS_FHIR_ENDPOINT"):
        asked(odd.url + "/none", http, tmp_path)


def test_a_server_may_name_its_token_endpoint_in_its_capability_statement_alone(
    odd: OddServer, http: httpx.Client, tmp_path: Path
) -> None:
    uris = {
        "url": "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris",
        "extension": [{"url": "token", "valueUri": odd.answers("/old-token", token_reply())}],
    }
    statement = {"rest": [{"security": {"extension": [uris]}}]}
    odd.answers("/old/.well-known/smart-configuration", raw(404))
    odd.answers("/old/metadata", raw(200, json.dumps(statement).encode()))

    assert asked(odd.url + "/old", http, tmp_path).value == "abc"


@pytest.mark.parametrize(
    "rest",
    [None, [5], [{"security": 5}], [{"security": {"extension": [{"url": "x/oauth-uris"}]}}]],
)
def test_an_odd_capability_statement_names_no_token_endpoint(
    odd: OddServer, http: httpx.Client, tmp_path: Path, rest: object
) -> None:
    odd.answers("/odd/.well-known/smart-configuration", raw(404))
    odd.answers("/odd/metadata", raw(200, json.dumps({"rest": rest}).encode()))

    with pytest.raises(ConfigurationError, match="ECW_TOKEN_URL"):
        asked(odd.url + "/odd", http, tmp_path)


def test_a_busy_server_is_not_taken_for_a_wrong_address(
    odd: OddServer, http: httpx.Client, tmp_path: Path
) -> None:
    odd.answers("/busy/.well-known/smart-configuration", raw(503))

    with pytest.raises(TemporaryError, match="busy"):
        asked(odd.url + "/busy", http, tmp_path)


def test_both_halves_of_basic_credentials_are_form_encoded(
    odd: OddServer, http: httpx.Client, tmp_path: Path
) -> None:
    base_url = served(odd, token_reply())
    strange = connection(base_url, client_id="a:b", client_secret="c%d")
    TokenSource(strange, http, tmp_path / "t", monday_clock()).current()

    wanted = httpx.BasicAuth("a%3Ab", "c%25d")
    request = next(wanted.auth_flow(httpx.Request("POST", base_url)))
    assert odd.authorizations("/token")[-1] == request.headers["Authorization"]


def test_a_401_is_answered_with_one_new_token(
    odd: OddServer, http: httpx.Client, tmp_path: Path
) -> None:
    base_url = served(odd, token_reply())
    odd.answers("/token", *(token_reply(access_token=name) for name in ("first", "second")))
    odd.answers("/data", raw(401, b"<html>no</html>"), raw(200, b"here"))
    auth = BearerAuth(TokenSource(connection(base_url), http, tmp_path / "t", monday_clock()))

    assert http.get(odd.url + "/data", auth=auth).content == b"here"
    assert odd.authorizations("/data") == ["Bearer first", "Bearer second"]


def test_a_401_that_stays_is_handed_on(odd: OddServer, http: httpx.Client, tmp_path: Path) -> None:
    base_url = served(odd, token_reply())
    url = odd.answers("/closed", raw(401))
    auth = BearerAuth(TokenSource(connection(base_url), http, tmp_path / "t", monday_clock()))

    assert http.get(url, auth=auth).status_code == 401
