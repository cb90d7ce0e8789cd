"""The key that a connection signs with: made, read, published, used.

Source: SMART App Launch 2.2, "Backend Services"; RFC 7517; RFC 7523.
"""

import json
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from joserfc import jwk, jwt
from joserfc.errors import JoseError

from ecw_pipeline.clock import Clock
from ecw_pipeline.errors import ConfigurationError
from ecw_pipeline.fhir_client.providers import Connection
from ecw_pipeline.files import write_json
from ecw_pipeline.settings import read_secret_file

Key = jwk.RSAKey | jwk.ECKey
Algorithm = Literal["RS384", "ES384"]

ASSERTION_LIFETIME_SECONDS = 240
KEY_ALGORITHMS: dict[str, Algorithm] = {"RSA": "RS384", "EC": "ES384"}
RSA_BITS = 3072
CURVE = "P-384"
_SETTING = "ECW_PRIVATE_KEY_FILE"


def new_key(path: Path, algorithm: Algorithm) -> Key:
    """Make a key pair and keep it as a private JWK, mode 0600; its ``kid`` is its thumbprint.

    Raises:
        ConfigurationError: there is a file already: a key that is registered must not be lost.
    """
    if path.exists():
        raise ConfigurationError(f"{path} exists already", "name another file, or move it away")
    made: Key = jwk.RSAKey.generate_key(RSA_BITS) if algorithm == "RS384" else _curve_key()
    write_json(path, made.as_dict(private=True) | _description(made, made.thumbprint()))
    return read_key(path)


def _curve_key() -> jwk.ECKey:
    return jwk.ECKey.generate_key(CURVE)


def key_set(paths: Iterable[Path]) -> dict[str, Any]:
    """The public halves of keys as a JWK set, for the URL that the provider reads.

    Raises:
        ConfigurationError: a file holds no private key.
    """
    return {"keys": [public_half(read_key(path)) for path in paths]}


def public_half(key: Key) -> dict[str, Any]:
    """What the provider may see of a key."""
    return key.as_dict(private=False) | _description(key, key_id(key))


def _description(key: Key, kid: str) -> dict[str, str]:
    return {"kid": kid, "use": "sig", "alg": KEY_ALGORITHMS[key.key_type]}


def key_id(key: Key, configured: str = "") -> str:
    """The ``kid`` by which the server finds a key."""
    return configured or key.kid or key.thumbprint()


def sign_assertion(connection: Connection, endpoint: str, clock: Clock) -> str:
    """A signed JWT that proves possession of the private key, good for four minutes.

    Raises:
        ConfigurationError: the key cannot be read or is of an unknown kind.
    """
    key = connection_key(connection)
    now = int(clock.now().timestamp())
    claims = {
        "iss": connection.client_id,
        "sub": connection.client_id,
        "aud": endpoint,
        "iat": now,
        "exp": now + ASSERTION_LIFETIME_SECONDS,
        "jti": str(uuid.uuid4()),
    }
    algorithm = KEY_ALGORITHMS[key.key_type]
    header = {"alg": algorithm, "kid": key_id(key, connection.key_id), "typ": "JWT"}
    try:
        return jwt.encode(header, claims, key, algorithms=[algorithm])
    except JoseError as error:  # an EC key of another curve than P-384, say
        raise ConfigurationError(
            f"ECW_PRIVATE_KEY_FILE names {connection.private_key_file},"
            f" whose key cannot sign with {algorithm}",
            "use an RSA key, or an EC key of curve P-384",
        ) from error


def connection_key(connection: Connection) -> Key:
    """The private key of a connection.

    Raises:
        ConfigurationError: there is none, or it cannot be read.
    """
    if connection.private_key_file is None:
        raise ConfigurationError("no private key is set", f"set {_SETTING}")
    return read_key(connection.private_key_file)


def read_key(path: Path) -> Key:
    """Read a private key, JWK or PEM, from a file of mode 0600.

    Raises:
        ConfigurationError: the file is missing, open to others, or holds something else.
    """
    text = read_secret_file(path, _SETTING)
    try:
        key = jwk.import_key(json.loads(text)) if text.startswith("{") else _from_pem(text)
    except (ValueError, TypeError, KeyError, JoseError) as error:
        raise ConfigurationError(
            f"{_SETTING} names {path}, which is no private key (JWK or PEM)",
            "point it at the key whose public half is registered with the provider",
        ) from error
    if not isinstance(key, Key) or not key.is_private:
        raise ConfigurationError(
            f"{_SETTING} names {path}, which holds no RSA or EC private key",
            "point it at the private half",
        )
    return key


def _from_pem(text: str) -> Key:
    """PEM of PKCS#8 does not say which kind of key it holds, so both are tried."""
    try:
        return jwk.import_key(text, "RSA")
    except (ValueError, TypeError, JoseError):
        return jwk.import_key(text, "EC")
