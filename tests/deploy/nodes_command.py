"""`splitfront nodes` as a person calls it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coordinator.__main__ import run


@dataclass(kw_only=True)
class NodesCommand:
    """The command, for one cluster."""

    cluster: Path
    capture: Any = None
    """What takes the outputs of the test that calls."""

    def call(self, *words: object, status: int = 0) -> str:
        """What it prints on both outputs."""
        self.capture.readouterr()
        got = run(["nodes", *map(str, words), "--cluster", str(self.cluster)])
        said = "".join(self.capture.readouterr())
        assert got == status, said
        return said

    def json(self, *words: object, status: int = 0) -> Any:
        """The report that it prints."""
        text = self.call(*words, "--json", status=status)
        return json.JSONDecoder().raw_decode(text[text.index("{") :])[0]
