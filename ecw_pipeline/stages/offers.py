"""Which of the wanted types a server offers and grants; what it does not is shown, not an error."""

from dataclasses import asdict, dataclass, replace

from ecw_pipeline.bulk_export.client import BulkExportClient
from ecw_pipeline.errors import ConfigurationError, ProtocolError
from ecw_pipeline.fhir_client.providers import Connection
from ecw_pipeline.files import read_json, write_json
from ecw_pipeline.stages.lake import Lake


@dataclass(frozen=True)
class Offer:
    """The types to ask for, and those that were wanted in vain."""

    available: tuple[str, ...]
    not_offered: tuple[str, ...] = ()
    not_granted: tuple[str, ...] = ()

    @property
    def in_words(self) -> str:
        """What is missing; empty where nothing is."""
        missing = {
            "not offered by this server": self.not_offered,
            "not granted to this client": self.not_granted,
        }
        return "; ".join(f"{why}: {', '.join(names)}" for why, names in missing.items() if names)


def offer_of(connection: Connection, client: BulkExportClient) -> Offer:
    """Ask a server what it has of what is wanted; of everything, where no type is named.

    Raises:
        ProtocolError: the server does not say what it has, and no type is named.
    """
    offered = _offered(connection, client)
    wanted = connection.resource_types or offered
    there = tuple(name for name in wanted if name in offered)
    return Offer(
        available=tuple(name for name in there if client.may_read(name)),
        not_offered=tuple(name for name in wanted if name not in offered),
        not_granted=tuple(name for name in there if not client.may_read(name)),
    )


def _offered(connection: Connection, client: BulkExportClient) -> tuple[str, ...]:
    """What a server says it has; what is wanted, where it does not say: exports may do without."""
    try:
        return client.offered_types()
    except ProtocolError:
        if not connection.resource_types:
            raise
        return connection.resource_types


def learn_offer(lake: Lake, connection: Connection, client: BulkExportClient) -> Offer:
    """Ask, and keep the answer for `known_offer`.

    Raises:
        ConfigurationError: none of the wanted types is to be had.
    """
    offer = offer_of(connection, client)
    write_json(lake.folder.offer(connection.connection_id), asdict(offer))
    if not offer.available:
        raise ConfigurationError(
            f"none of the types can be asked for; {offer.in_words}",
            f"set ECW_RESOURCE_TYPES to some of: {', '.join(_offered(connection, client))};"
            " or have them granted",
        )
    return offer


def require_offered(
    connection: Connection, client: BulkExportClient, types: tuple[str, ...]
) -> tuple[str, ...]:
    """These types, if a server has them all for us.

    Raises:
        ConfigurationError: one is not offered or not granted.
    """
    wanting = replace(connection, resource_types=types)
    offer = offer_of(wanting, client)
    if offer.in_words:
        raise ConfigurationError(
            offer.in_words, f"ask for some of: {', '.join(_offered(wanting, client))}"
        )
    return offer.available


def known_offer(lake: Lake, connection_id: str) -> Offer:
    """What was learnt when the connection was last asked for an export."""
    path = lake.folder.offer(connection_id)
    document = read_json(path) if path.exists() else {"available": ()}
    return Offer(**{name: tuple(types) for name, types in document.items()})
