"""Every setting, read once from the environment, `.env` and the connections file.

Only `cli/` and `defs/resources.py` construct `Settings`. What a provider preset adds is decided
in `fhir_client/providers.py`.
"""

import os
import re
import tomllib
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from ecw_pipeline.errors import ConfigurationError
from ecw_pipeline.fhir.structure import is_resource, resource_types
from ecw_pipeline.layout import DataFolder

ExportLevel = Literal["system", "patient", "group", "search"]
AuthKind = Literal["client_secret_basic", "client_secret_post", "private_key_jwt", "none"]

MINUTES_OF_A_YEAR = 525_600
DAYS_OF_A_CENTURY = 36_525

_MIME_TYPE = re.compile(r"[\w.+*-]+/[\w.+*-]+", re.ASCII)
_CONNECTION_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


def _type_list(value: object) -> object:
    """Read ``Patient, Observation`` as a tuple of resource types."""
    names = value.split(",") if isinstance(value, str) else value
    if not isinstance(names, list | tuple):
        return value
    wanted = tuple(str(name).strip() for name in names if str(name).strip())
    for name in wanted:
        if not is_resource(name):
            meant = get_close_matches(name, resource_types(), 1) or ["Patient,Observation"]
            raise ValueError(f"{name!r} is not a FHIR resource type (example: {meant[0]})")
    return wanted


def _day(value: str) -> str:
    try:
        return date.fromisoformat(value).isoformat()
    except ValueError:
        raise ValueError("write a day like 2026-01-31") from None


def _folder_name(value: str) -> str:
    if not _CONNECTION_ID.fullmatch(value):
        raise ValueError("use lower-case letters, digits, - and _ (it names a folder)")
    return value


def _mime_types(patterns: tuple[str, ...]) -> tuple[str, ...]:
    for pattern in patterns:
        if not _MIME_TYPE.fullmatch(pattern):
            raise ValueError(f"{pattern!r} is not like application/pdf or image/*")
    return patterns


class ConnectionSettings(BaseModel):
    """One practice on one provider, as written in the connections file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    connection_id: str
    provider: str = "eclinicalworks"
    fhir_endpoint: str = ""
    client_id: str = ""
    client_secret: SecretStr | None = None
    client_secret_env: str = ""
    client_secret_file: Path | None = None
    private_key_file: Path | None = None
    key_id: str = ""
    auth_kind: AuthKind | None = None
    token_url: str = ""
    jwks_url: str = ""
    level: ExportLevel | None = None
    group_id: str = ""
    export_parameters: str = ""
    resource_types: tuple[str, ...] = ()
    scopes: str = ""
    redirect_uri: str = ""
    login_scopes: str = ""
    windows: tuple[str, ...] = ()
    file_hosts: tuple[str, ...] = ()

    _types = field_validator("resource_types", mode="before")(_type_list)
    _connection_id = field_validator("connection_id")(_folder_name)

    @property
    def secret(self) -> SecretStr | None:
        """The secret, from wherever it is kept; it is read when it is wanted, so that one that
        cannot be read stops no other connection.

        Raises:
            ConfigurationError: the variable is not set, or the file cannot be read.
        """
        where = f"connection {self.connection_id}"
        if variable := self.client_secret_env:
            if not os.environ.get(variable):
                raise ConfigurationError(
                    f"{where} takes its secret from {variable}, which is not set", f"set {variable}"
                )
            return SecretStr(os.environ[variable])
        if file := self.client_secret_file:
            return SecretStr(read_secret_file(file, f"{where}, client_secret_file"))
        return self.client_secret


class Settings(BaseSettings):
    """What the environment says. README, "Configuration", explains each."""

    model_config = SettingsConfigDict(
        env_file=".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
    )

    data: Path = Field(Path("data"), validation_alias="ECW_DATA")
    connections_file: Path | None = Field(None, validation_alias="ECW_CONNECTIONS")
    connection_id: str = Field("practice", validation_alias="ECW_CONNECTION_ID")
    provider: str = Field("eclinicalworks", validation_alias="ECW_PROVIDER")
    client_id: str = Field("", validation_alias="ECLINICALWORKS_CLIENT_ID")
    client_secret: SecretStr | None = Field(None, validation_alias="ECLINICALWORKS_CLIENT_SECRET")
    redirect_uri: str = Field("", validation_alias="ECLINICALWORKS_REDIRECT_URI")
    fhir_endpoint: str = Field("", validation_alias="ECLINICALWORKS_FHIR_ENDPOINT")
    private_key_file: Path | None = Field(None, validation_alias="ECW_PRIVATE_KEY_FILE")
    key_id: str = Field("", validation_alias="ECW_KEY_ID")
    auth_kind: AuthKind | None = Field(None, validation_alias="ECW_AUTH")
    token_url: str = Field("", validation_alias="ECW_TOKEN_URL")
    jwks_url: str = Field("", validation_alias="ECW_JWKS_URL")
    level: ExportLevel | None = Field(None, validation_alias="ECW_EXPORT_LEVEL")
    group_id: str = Field("", validation_alias="ECW_GROUP_ID")
    export_parameters: str = Field("", validation_alias="ECW_EXPORT_PARAMETERS")
    scopes: str = Field("", validation_alias="ECW_SCOPES")
    login_scopes: str = Field("", validation_alias="ECW_LOGIN_SCOPES")
    resource_types: Annotated[tuple[str, ...], NoDecode] = Field(
        (), validation_alias="ECW_RESOURCE_TYPES"
    )
    windows: Annotated[tuple[str, ...], NoDecode] = Field((), validation_alias="ECW_RATE_WINDOWS")
    file_hosts: Annotated[tuple[str, ...], NoDecode] = Field((), validation_alias="ECW_FILE_HOSTS")
    max_file_megabytes: int = Field(65_536, gt=0, validation_alias="ECW_MAX_FILE_MEGABYTES")
    max_unpacked_ratio: int = Field(300, gt=0, validation_alias="ECW_MAX_UNPACKED_RATIO")
    attachment_types: Annotated[tuple[str, ...], NoDecode] = Field(
        ("application/*", "image/*", "text/*"), validation_alias="ECW_ATTACHMENT_TYPES"
    )
    max_attachment_megabytes: int = Field(
        100, gt=0, validation_alias="ECW_MAX_ATTACHMENT_MEGABYTES"
    )
    delete_exports: bool = Field(False, validation_alias="ECW_DELETE_EXPORTS")
    view_definitions: Path | None = Field(None, validation_alias="ECW_VIEW_DEFINITIONS")
    export_deadline_minutes: float = Field(
        180.0, gt=0, le=MINUTES_OF_A_YEAR, validation_alias="ECW_EXPORT_DEADLINE_MINUTES"
    )
    reconcile_days: float = Field(
        30.0, ge=0, le=DAYS_OF_A_CENTURY, validation_alias="ECW_RECONCILE_DAYS"
    )
    alert_webhook: SecretStr | None = Field(None, validation_alias="ECW_ALERT_WEBHOOK")
    alert_email: Annotated[tuple[str, ...], NoDecode] = Field(
        (), validation_alias="ECW_ALERT_EMAIL"
    )
    smtp_url: SecretStr | None = Field(None, validation_alias="ECW_SMTP_URL")
    validate_lines: Literal["off", "sample", "all"] = Field(
        "sample", validation_alias="ECW_VALIDATE"
    )
    validation_warn: float = Field(0.0, ge=0, le=1, validation_alias="ECW_VALIDATION_WARN")
    validation_fail: float = Field(0.5, ge=0, le=1, validation_alias="ECW_VALIDATION_FAIL")
    debug: str = Field("", validation_alias="ECW_DEBUG")
    debug_names: str = Field("", validation_alias="DEBUG")
    api_key: SecretStr | None = Field(None, validation_alias="ECW_API_KEY")
    codes: Path | None = Field(None, validation_alias="ECW_CODES")
    partitions_start: str = Field("2026-01-01", validation_alias="ECW_PARTITIONS_START")

    _types = field_validator("resource_types", mode="before")(_type_list)
    _connection_id = field_validator("connection_id")(_folder_name)
    _start = field_validator("partitions_start")(_day)
    _mime_types = field_validator("attachment_types")(_mime_types)

    @field_validator("windows", "file_hosts", "alert_email", "attachment_types", mode="before")
    @classmethod
    def _text_list(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value

    @field_validator("smtp_url")
    @classmethod
    def _mail_server(cls, value: SecretStr | None) -> SecretStr | None:
        parts = urlsplit(value.get_secret_value()) if value else None
        if parts and (parts.scheme not in ("smtp", "smtps") or not parts.hostname):
            raise ValueError("write it as smtps://user:password@host:465")
        return value

    @classmethod
    def from_environment(cls) -> Self:
        """Read the environment and `.env`.

        Raises:
            ConfigurationError: a setting cannot be read; the message names it.
        """
        try:
            return cls()
        except ValidationError as error:
            raise ConfigurationError(*_in_words(error, "the environment or .env")) from None
        except UnicodeDecodeError as error:
            raise ConfigurationError(".env is not UTF-8 text", "save it as UTF-8") from error

    @property
    def traces_requests(self) -> bool:
        """Whether each request is to be told: ``ECW_DEBUG``, or ``DEBUG=eclinicalworks:*``."""
        named = (name.strip() for name in self.debug_names.split(","))
        return bool(self.debug) or any(name in ("*", "eclinicalworks:*") for name in named)

    @property
    def folder(self) -> DataFolder:
        return DataFolder(self.data.absolute())

    def connections(self) -> tuple[ConnectionSettings, ...]:
        """Every configured connection; at least one.

        Raises:
            ConfigurationError: the connections file is missing or cannot be read.
        """
        if self.connections_file is not None:
            return _read_connections(self.connections_file)
        shared = set(ConnectionSettings.model_fields) & set(type(self).model_fields)
        try:
            return (ConnectionSettings(**{name: getattr(self, name) for name in shared}),)
        except ValidationError as error:
            raise ConfigurationError(*_in_words(error, "the environment or .env")) from None


def _in_words(error: ValidationError, where: str) -> tuple[str, str]:
    """Name each setting that cannot be read, without its value (it may be a secret)."""
    complaints = [
        f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
        for problem in error.errors(include_input=False, include_url=False)
    ]
    return f"unreadable setting in {where}: {'; '.join(complaints)}", "correct it and run again"


def _read_connections(path: Path) -> tuple[ConnectionSettings, ...]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(
            f"ECW_CONNECTIONS names {path}, which cannot be read: {error.strerror}",
            "point ECW_CONNECTIONS at a TOML file",
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is not TOML: {error}", "mend the file") from error
    tables = document.get("connections", {})
    if not isinstance(tables, dict) or not tables:
        raise ConfigurationError(
            f"{path} holds no connection", "add a table such as [connections.main_street]"
        )
    return tuple(_connection(path, name, table) for name, table in tables.items())


def _connection(path: Path, name: str, table: Any) -> ConnectionSettings:
    """Read one table of the file; its secret comes from a variable or a file, never inline."""
    where = f"{path}, [connections.{name}]"
    if not isinstance(table, dict):
        raise ConfigurationError(f"{where} is not a table", "write [connections.NAME] and keys")
    if "client_secret" in table:
        raise ConfigurationError(
            f"{where} holds a secret",
            "name the variable or file that holds it: client_secret_env or client_secret_file",
        )
    try:
        return ConnectionSettings(connection_id=name, **table)
    except ValidationError as error:
        raise ConfigurationError(*_in_words(error, where)) from None


def read_secret_file(path: Path, setting: str) -> str:
    """Read a secret from a file that nobody else may read.

    Raises:
        ConfigurationError: the file is missing, or others may read it.
    """
    try:
        mode = path.stat().st_mode & 0o777
        text = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigurationError(
            f"{setting} names {path}, which cannot be read: {error.strerror}",
            f"correct {setting}",
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f"{setting} names {path}, which is not UTF-8 text", f"correct {setting}"
        ) from error
    if mode & 0o077:
        raise ConfigurationError(
            f"{setting} names {path}, which others may read (mode {mode:04o})",
            f"chmod 600 {path}",
        )
    return text
