"""The store's tables. One of the doors to SQLAlchemy, beside `store` and `opening`.

A row of `samples` names its run by a number, for space; all else is named as in `columns`.
"""

from typing import Any

import sqlalchemy as sa

from coordinator.results.columns import ADDED, MOST_NAME_LENGTH, RUN_KEY, TABLES, Kind, Table

VERSION = 2
"""Of these tables. What reads and writes them is raised with it, and learns to change an older store. 2: what a run
took of resources."""

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
"""SQLite counts rows only in a column of the type INTEGER, which has 64 bits there."""

_TYPES: dict[Kind, sa.types.TypeEngine[Any]] = {
    "name": sa.String(MOST_NAME_LENGTH),
    "text": sa.Text(),
    "json": sa.Text(),
    "integer": sa.BigInteger(),
    "real": sa.Double(),
    "real_or_none": sa.Double(),
}

metadata = sa.MetaData()


def _columns(table: Table, *, without: frozenset[str] = frozenset()) -> list[sa.Column[Any]]:
    return [
        sa.Column(name, _TYPES[kind], nullable=kind == "real_or_none")
        for name, kind in TABLES[table].items()
        if name not in without
    ]


versions = sa.Table("splitfront_results", metadata, sa.Column("version", sa.Integer, primary_key=True))
"""One row: `VERSION` of whoever made the store."""

sweeps = sa.Table("sweeps", metadata, *_columns("sweeps"), sa.PrimaryKeyConstraint("name"))

cases = sa.Table(
    "cases",
    metadata,
    *_columns("cases"),
    sa.PrimaryKeyConstraint("sweep", "key"),
    sa.ForeignKeyConstraint(["sweep"], ["sweeps.name"]),
)

runs = sa.Table(
    "runs",
    metadata,
    sa.Column("id", NUMBER, primary_key=True, autoincrement=True),
    *_columns("runs"),
    sa.UniqueConstraint(*RUN_KEY),
    sa.ForeignKeyConstraint(["sweep", "case_key"], ["cases.sweep", "cases.key"]),
)
sa.Index(
    "only_one_done",
    *(runs.c[name] for name in ("sweep", "case_key", "repeat")),
    unique=True,
    sqlite_where=runs.c.state == "done",
    postgresql_where=runs.c.state == "done",
).ddl_if(dialect=("sqlite", "postgresql"))  # type: ignore[arg-type]  # it takes several, which its type forgets
# Others have no index over a part of a table; there the lock on a case's row that `record` takes must do.

samples = sa.Table(
    "samples",
    metadata,
    sa.Column("run", NUMBER, sa.ForeignKey("runs.id"), nullable=False),
    *_columns("samples", without=frozenset(RUN_KEY)),
    sa.PrimaryKeyConstraint("run", "number"),
    sqlite_with_rowid=False,
)

claims = sa.Table(
    "claims",
    metadata,
    sa.Column("sweep", _TYPES["name"], nullable=False),
    sa.Column("case_key", _TYPES["name"], nullable=False),
    sa.Column("repeat", _TYPES["integer"], nullable=False),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("until_seconds", sa.Double, nullable=False),
    sa.PrimaryKeyConstraint("sweep", "case_key", "repeat"),
    sa.ForeignKeyConstraint(["sweep", "case_key"], ["cases.sweep", "cases.key"]),
)
"""`until_seconds`: since 1970, by the store's clock."""


def raise_version(connection: sa.Connection) -> int:
    """Changes an older store into one of this version; the version that it has then. Several may call it at once."""
    found = connection.scalar(sa.select(versions.c.version).with_for_update())
    if found == 1:
        for name, cell in ADDED["runs"].items():
            kind = sa.schema.CreateColumn(sa.Column(name, sa.Text, nullable=False, server_default=cell))
            connection.execute(sa.text(f"ALTER TABLE runs ADD COLUMN {kind.compile(dialect=connection.dialect)}"))
        connection.execute(sa.update(versions).values(version=VERSION))
        return VERSION
    return int(found or 0)
