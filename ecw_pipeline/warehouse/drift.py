"""How the resources of a type are made, and how far they keep FHIR's rules, export by export."""

from dataclasses import dataclass
from typing import Literal

import duckdb

# Fewer lines than that tell nothing of what is new or gone.
ENOUGH_LINES = 200
# What fewer resources have may be missing from some exports by chance.
COMMON_SHARE = 0.2


@dataclass(frozen=True)
class Drift:
    """An element path of a connection that the newest export made new, other, or let vanish."""

    connection_id: str
    kind: Literal["new", "vanished", "type"]
    path: str
    before: str
    now: str


@dataclass(frozen=True)
class Validity:
    """Of a type's newest exports: lines looked at, lines that break a rule, and which rules."""

    lines_sampled: int
    lines_invalid: int
    rules: tuple[str, ...]

    @property
    def invalid_share(self) -> float:
        return self.lines_invalid / self.lines_sampled if self.lines_sampled else 0.0


_NEWEST = """
    judged AS (
        FROM ops.load WHERE resource_type = $resource_type AND NOT is_restricted
            AND coalesce(lines_sampled, 0) > 0),
    newest AS (
        FROM judged QUALIFY row_number() OVER (
            PARTITION BY connection_id ORDER BY transaction_time DESC, export_id DESC) = 1)
"""


def drift(connection: duckdb.DuckDBPyConnection, resource_type: str) -> list[Drift]:
    """What the newest export of each connection changed in how a type's resources are made.

    Told only where enough lines were looked at, before and now.
    """
    rows = connection.execute(
        f"""
        WITH {_NEWEST},
        earlier AS (SELECT j.* FROM judged AS j ANTI JOIN newest AS n USING (export_id)),
        size AS (
            SELECT connection_id, n.lines_sampled AS now_lines, sum(e.lines_sampled) AS before_lines
            FROM newest AS n JOIN earlier AS e USING (connection_id) GROUP BY ALL),
        used_now AS (
            SELECT p.connection_id, p.path, string_agg(DISTINCT p.json_type, ', '
                ORDER BY p.json_type) AS types
            FROM ops.element_profile AS p JOIN newest AS n USING (export_id, resource_type)
            WHERE p.json_type NOT IN ('null', '[]') GROUP BY ALL),
        used_before AS (
            SELECT p.connection_id, p.path, sum(p.lines_with) AS lines_with,
                list(DISTINCT p.json_type ORDER BY p.json_type) AS types
            FROM ops.element_profile AS p JOIN earlier AS e USING (export_id, resource_type)
            WHERE p.json_type NOT IN ('null', '[]') GROUP BY ALL)
        SELECT connection_id,
               CASE WHEN b.path IS NULL THEN 'new' WHEN n.path IS NULL THEN 'vanished'
                    ELSE 'type' END,
               path, coalesce(array_to_string(b.types, ', '), ''), coalesce(n.types, '')
        FROM used_now AS n FULL JOIN used_before AS b USING (connection_id, path)
        JOIN size USING (connection_id)
        WHERE CASE
            WHEN b.path IS NULL THEN before_lines >= {ENOUGH_LINES}
            WHEN n.path IS NULL THEN now_lines >= {ENOUGH_LINES}
                AND b.lines_with >= {COMMON_SHARE} * before_lines
            ELSE NOT list_has_all(b.types, string_split(n.types, ', ')) END
        ORDER BY ALL
        """,
        {"resource_type": resource_type},
    ).fetchall()
    return [Drift(*row) for row in rows]


def validity(connection: duckdb.DuckDBPyConnection, resource_type: str) -> Validity:
    """How the newest export of each connection keeps FHIR's rules."""
    parameters = {"resource_type": resource_type}
    counted = connection.execute(
        f"WITH {_NEWEST} SELECT coalesce(sum(lines_sampled), 0), coalesce(sum(lines_invalid), 0)"
        " FROM newest WHERE lines_invalid IS NOT NULL",
        parameters,
    ).fetchone()
    rules = connection.execute(
        f"WITH {_NEWEST} SELECT v.path || ' ' || v.rule || ': ' || sum(v.findings)::BIGINT"
        " || ', first ' || any_value(v.source_file) || ' line ' || any_value(v.source_line)"
        " FROM ops.validation AS v JOIN newest USING (export_id, resource_type)"
        " GROUP BY v.path, v.rule ORDER BY sum(v.findings) DESC, v.path LIMIT 20",
        parameters,
    ).fetchall()
    sampled, invalid = counted or (0, 0)
    return Validity(int(sampled), int(invalid), tuple(words for (words,) in rules))
