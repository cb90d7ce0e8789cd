"""The ledger's tables. What is written to them, and when, is `ledger.py`'s."""

import sqlalchemy as sa

METADATA = sa.MetaData()

EXPORT = sa.Table(
    "export",
    METADATA,
    sa.Column("export_id", sa.String, primary_key=True),
    sa.Column("connection_id", sa.String, nullable=False),
    sa.Column("level", sa.String, nullable=False),
    sa.Column("group_id", sa.String, nullable=False),
    sa.Column("resource_types", sa.String, nullable=False),
    sa.Column("since", sa.String),
    sa.Column("restriction", sa.String),
    sa.Column("is_partial", sa.Boolean),
    sa.Column("state", sa.String, nullable=False),
    sa.Column("status_url", sa.String, nullable=False, default=""),
    sa.Column("progress", sa.String, nullable=False, default=""),
    sa.Column("progressed_at", sa.String),
    sa.Column("wait_seconds", sa.Float, nullable=False, default=0.0),
    sa.Column("next_poll_at", sa.String),
    sa.Column("transaction_time", sa.String),
    sa.Column("requires_token", sa.Boolean, nullable=False, default=True),
    sa.Column("kick_offs", sa.Integer, nullable=False, default=0),
    sa.Column("intended_at", sa.String, nullable=False),
    sa.Column("requested_at", sa.String),
    sa.Column("completed_at", sa.String),
    sa.Column("error", sa.String, nullable=False, default=""),
)
EXPORT_TYPE = sa.Table(
    "export_type",
    METADATA,
    sa.Column("export_id", sa.String, primary_key=True),
    sa.Column("resource_type", sa.String, primary_key=True),
    sa.Column("state", sa.String, nullable=False, default="pending"),
    sa.Column("error", sa.String, nullable=False, default=""),
)
EXPORT_FILE = sa.Table(
    "export_file",
    METADATA,
    sa.Column("export_id", sa.String, primary_key=True),
    sa.Column("file_number", sa.Integer, primary_key=True),
    sa.Column("kind", sa.String, nullable=False),
    sa.Column("resource_type", sa.String, nullable=False),
    sa.Column("url", sa.String, nullable=False),
    sa.Column("manifest_count", sa.Integer),
    sa.Column("state", sa.String, nullable=False, default="planned"),
    sa.Column("path", sa.String, nullable=False, default=""),
    sa.Column("sha256", sa.String, nullable=False, default=""),
    sa.Column("size_bytes", sa.Integer, nullable=False, default=0),
    sa.Column("lines_received", sa.Integer, nullable=False, default=0),
    sa.Column("lines_landed", sa.Integer, nullable=False, default=0),
    sa.Column("lines_quarantined", sa.Integer, nullable=False, default=0),
)
PARTITION_DAY = sa.Table(
    "partition_day",
    METADATA,
    sa.Column("connection_id", sa.String, primary_key=True),
    sa.Column("day", sa.String, primary_key=True),
    sa.Column("export_id", sa.String, primary_key=True),
)
ATTACHMENT = sa.Table(
    "attachment",
    METADATA,
    sa.Column("attachment_id", sa.String, primary_key=True),
    sa.Column("connection_id", sa.String, nullable=False),
    sa.Column("sha1", sa.String, nullable=False, default=""),
    sa.Column("declared_bytes", sa.Integer),
    sa.Column("state", sa.String, nullable=False, default="planned"),
    sa.Column("sha256", sa.String, nullable=False, default=""),
    sa.Column("size_bytes", sa.Integer, nullable=False, default=0),
    sa.Column("content_type", sa.String, nullable=False, default=""),
    sa.Column("error", sa.String, nullable=False, default=""),
    sa.Column("settled_at", sa.String, nullable=False, default=""),
    sa.Column("revision", sa.Integer, nullable=False, default=0),
    sa.Index("attachment_by_revision", "revision"),
    sa.Index("attachment_by_hash", "connection_id", "sha1"),
)


def create_tables(transaction: sa.Connection) -> None:
    """Create what is missing: tables, and in a ledger of an earlier version also columns."""
    METADATA.create_all(transaction)
    inspector = sa.inspect(transaction)
    for table in METADATA.sorted_tables:
        known = {column["name"] for column in inspector.get_columns(table.name)}
        for column in table.columns:
            if column.name not in known:
                kind = column.type.compile(transaction.dialect)
                transaction.exec_driver_sql(
                    f"ALTER TABLE {table.name} ADD COLUMN {column.name} {kind}"
                )
