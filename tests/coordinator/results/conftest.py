"""Stores to test: an SQLite file, and a database on a real PostgreSQL server."""

import os
from contextlib import ExitStack

import pytest
from postgres_server import NoPostgresError, empty_database, postgres_server


@pytest.fixture(scope="session")
def postgres():
    """URL of a server; where CI has none, that is a fault of its set-up."""
    with ExitStack() as stack:
        try:
            url = stack.enter_context(postgres_server())
        except NoPostgresError as error:
            if os.environ.get("CI"):
                raise
            pytest.skip(str(error))
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request, tmp_path):
    """Where a store may be made."""
    if request.param == "sqlite":
        yield str(tmp_path / "results.sqlite")
    else:
        with empty_database(request.getfixturevalue("postgres")) as url:
            yield url
