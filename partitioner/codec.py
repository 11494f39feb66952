"""What codecs do to boundary tensors: bytes, errors and seconds, as measured."""

from dataclasses import dataclass
from functools import cached_property

NO_CODEC = "none"
"""Name of the codec that leaves tensors as they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundaryCoding:
    """One codec at every position 0 … n_units."""

    codec: str
    wire_bytes: tuple[int, ...]
    """(n_units + 1,) bytes of the coded boundary."""
    output_errors: tuple[float, ...]
    """(n_units + 1,) relative L2 error of the model's outputs when only this boundary is coded, on sample inputs; 0 for
    lossless codecs, infinity where it was not measured or breaks the output."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CodecRate:
    """How fast one device codes: `fixed + bytes / rate` for the raw bytes of a boundary, in each direction."""

    device: str
    codec: str
    encode_fixed_seconds: float
    encode_bytes_per_second: float
    decode_fixed_seconds: float
    decode_bytes_per_second: float

    def encode_seconds(self, n_bytes: int) -> float:
        """Time to encode so many raw bytes."""
        return self.encode_fixed_seconds + n_bytes / self.encode_bytes_per_second

    def decode_seconds(self, n_bytes: int) -> float:
        """Time to decode so many raw bytes."""
        return self.decode_fixed_seconds + n_bytes / self.decode_bytes_per_second


@dataclass(frozen=True, kw_only=True)
class CodecTable:
    """What was measured, for one model and batch size, of all codecs but `NO_CODEC`."""

    model_sha256: str
    batch: int
    n_units: int
    codings: tuple[BoundaryCoding, ...]
    rates: tuple[CodecRate, ...]

    @cached_property
    def coding_of(self) -> dict[str, BoundaryCoding]:
        """Coding of each codec."""
        return {coding.codec: coding for coding in self.codings}

    @cached_property
    def rate_of(self) -> dict[tuple[str, str], CodecRate]:
        """Rate of each (device, codec)."""
        return {(rate.device, rate.codec): rate for rate in self.rates}
