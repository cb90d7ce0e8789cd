"""Who gets a token, and what the refusals say."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from ecw_pipeline.clock import ManualClock
from ecw_pipeline.sandbox.outcomes import RefusalError
from ecw_pipeline.sandbox.tokens import ASSERTION_TYPE, TokenDesk
from ecw_pipeline_tests.sandbox.conftest import TOKEN_SECONDS
from ecw_pipeline_tests.sandbox.harness import Visitor, quick, visiting

RSA = RSAKey.generate_key(2048, {"kid": "rsa", "use": "sig"})
EC = ECKey.generate_key("P-384", {"kid": "ec", "use": "sig"})
NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
TOKEN_URL = "http://127.0.0.1/oauth2/token"


def test_a_client_with_its_secret_gets_a_token_for_what_it_asked(visitor: Visitor) -> None:
    reply = visitor.token("system/Patient.read system/Group.read")

    assert reply.status_code == 200
    assert reply.json()["expires_in"] == TOKEN_SECONDS
    assert reply.json()["scope"] == "system/Patient.read system/Group.read"


def test_a_secret_in_the_body_is_as_good(visitor: Visitor) -> None:
    form = {"client_id": "sandbox-client", "client_secret": "sandbox-secret"}
    body = {"grant_type": "client_credentials", "scope": "system/*.rs", **form}

    assert visitor.http.post(f"{visitor.server_url}/oauth2/token", data=body).status_code == 200


def test_a_wrong_secret_is_an_unknown_client(visitor: Visitor) -> None:
    body = {"grant_type": "client_credentials", "scope": "system/*.read"}
    url = f"{visitor.server_url}/oauth2/token"
    reply = visitor.http.post(url, data=body, auth=("sandbox-client", "wrong"))

    assert reply.status_code == 401
    assert reply.json()["error"] == "invalid_client"
    assert "www-authenticate" in reply.headers


@pytest.mark.parametrize("scope", ["system/Patient.read system/Nonsense.read", ""])
def test_one_unknown_scope_or_none_at_all_fails_the_request(visitor: Visitor, scope: str) -> None:
    reply = visitor.token(scope)

    assert (reply.status_code, reply.json()["error"]) == (400, "invalid_scope")


def test_another_grant_type_is_refused(visitor: Visitor) -> None:
    reply = visitor.token(grant_type="password")

    assert reply.json()["error"] == "unsupported_grant_type"


def test_without_a_token_nothing_is_read(visitor: Visitor) -> None:
    for path in ("/$export", "/$export-status/1", "/$export-file/1/x", "/Patient/pat-000001"):
        reply = visitor.http.get(visitor.base_url + path)
        assert reply.status_code == 401
        assert reply.headers["www-authenticate"].startswith("Bearer")


def test_a_scope_limits_what_can_be_exported(visitor: Visitor) -> None:
    narrow = Visitor(visitor.server_url, visitor.http).sign_in("system/Patient.rs")

    assert narrow.kick_off("", _type="Observation").status_code == 403
    assert narrow.kick_off("/Group/all-patients").status_code == 403
    assert {item["type"] for item in narrow.export()["output"]} == {"Patient"}


def test_a_token_ends_after_its_seconds() -> None:
    clock = ManualClock(NOW)
    desk = TokenDesk(quick(), ("Patient",), clock)
    header = f"Bearer {_issue(desk, 'sandbox-secret')['access_token']}"

    clock.advance(299)
    assert desk.require(header).covers("Patient")
    clock.advance(2)
    with pytest.raises(RefusalError, match="expired"):
        desk.require(header)


@pytest.fixture(scope="module")
def with_keys() -> Iterator[Visitor]:
    keys = {"keys": [RSA.as_dict(private=False), EC.as_dict(private=False)]}
    with visiting(quick(jwks=keys)) as someone:
        yield someone


def assertion(key: RSAKey | ECKey, audience: str, **changes: Any) -> str:
    """A good assertion, changed."""
    header = {"alg": "RS384" if key is RSA else "ES384", "kid": key.kid, "typ": "JWT"}
    header |= changes.pop("header", {})
    claims = {
        "iss": "sandbox-client",
        "sub": "sandbox-client",
        "aud": audience,
        "exp": int((datetime.now(UTC) + timedelta(minutes=4)).timestamp()),
        "jti": str(uuid4()),
        **changes,
    }
    return jwt.encode(header, claims, key, algorithms=["RS384", "ES384", "RS256"])


def ask(visitor: Visitor, signed: str) -> tuple[int, str]:
    """Send an assertion; gives the status and the words of a refusal."""
    body = {
        "grant_type": "client_credentials",
        "scope": "system/Patient.read",
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": signed,
    }
    reply = visitor.http.post(f"{visitor.server_url}/oauth2/token", data=body)
    return reply.status_code, reply.json().get("error_description", "")


@pytest.mark.parametrize("key", [RSA, EC], ids=["RS384", "ES384"])
def test_a_signed_assertion_is_accepted_once(with_keys: Visitor, key: RSAKey | ECKey) -> None:
    signed = assertion(key, f"{with_keys.server_url}/oauth2/token")

    assert ask(with_keys, signed) == (200, "")
    assert ask(with_keys, signed) == (401, "bad assertion: jti was used before")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"aud": "http://elsewhere.example/token"}, "aud must be"),
        ({"iss": "someone"}, "iss and sub"),
        ({"exp": 1_000_000_000}, "exp"),
        ({"exp": 4_000_000_000}, "five minutes"),
        ({"jti": ""}, "jti is missing"),
        ({"header": {"alg": "RS256"}}, "bad assertion"),
        ({"header": {"kid": "other"}}, "bad assertion"),
    ],
)
def test_a_bad_assertion_is_refused_with_the_reason(
    with_keys: Visitor, changes: dict[str, Any], words: str
) -> None:
    signed = assertion(RSA, f"{with_keys.server_url}/oauth2/token", **changes)
    status, description = ask(with_keys, signed)

    assert status == 401
    assert words in description


def test_an_assertion_signed_by_a_stranger_is_refused(with_keys: Visitor) -> None:
    stranger = RSAKey.generate_key(2048, {"kid": "rsa"})
    url = f"{with_keys.server_url}/oauth2/token"
    signed = assertion(stranger, url, header={"alg": "RS384"})

    assert ask(with_keys, signed)[0] == 401


def _issue(desk: TokenDesk, secret: str) -> dict[str, Any]:
    form = {
        "grant_type": "client_credentials",
        "scope": "system/Patient.read",
        "client_id": "sandbox-client",
        "client_secret": secret,
    }
    return desk.issue(form, None, TOKEN_URL)
