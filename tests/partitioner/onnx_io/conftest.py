from collections.abc import Callable
from pathlib import Path

import pytest

from partitioner.onnx_io import Model, load_model


@pytest.fixture(scope="session")
def model_cache(request: pytest.FixtureRequest) -> Path:
    """Exports outlive the run: in pytest's own cache folder."""
    assert request.config.cache is not None
    return Path(request.config.cache.mkdir("splitfront-models"))


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Model]:
    """`load_model` with a cache folder of the test's own."""

    def load_here(source: str, **options: object) -> Model:
        return load_model(source, cache_dir=tmp_path / "cache", **options)  # type: ignore[arg-type]

    return load_here
