"""A word in place of a section, where one key says it all."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import core_schema


@dataclass(frozen=True, slots=True)
class OrWord:
    """Marks a section, in `Annotated`, that may also be written as a word."""

    section_of: Callable[[str], Mapping[str, object]]
    """The section, as the file would have it, that a word stands for; raises `ValueError` for a wrong one."""
    words: tuple[str, ...] = ()
    """All that there are; none: any."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """Turns a word into its section first."""
        return core_schema.no_info_before_validator_function(self._expanded, handler(source))

    def __get_pydantic_json_schema__(
        self, core: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, object]:
        """Either of both."""
        word: dict[str, object] = {"type": "string"} | ({"enum": list(self.words)} if self.words else {})
        return {"anyOf": [word, handler(core)]}

    def _expanded(self, value: object) -> object:
        return self.section_of(value) if isinstance(value, str) else value
