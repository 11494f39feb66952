"""Files that are there as a whole or not at all."""

import contextlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from coordinator.errors import ResultStoreError


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Another path beside `path` to write to; at the end the file takes its name, unless an error came.

    Raises:
        ResultStoreError: It cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        if isinstance(error, ResultStoreError):
            raise
        raise ResultStoreError(f"{path} cannot be written: {error.strerror or error}.") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
