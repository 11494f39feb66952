"""Binds the free dimensions of a model's inputs to sizes."""

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from onnx import GraphProto, TensorShapeProto, ValueInfoProto

from partitioner.errors import ModelError, UnsupportedModelError


@dataclass(frozen=True, slots=True, kw_only=True)
class Dimension:
    """One dimension of one input."""

    input_name: str
    axis: int
    size: int
    """0 where it is free."""
    symbol: str
    """As the model names it; empty where it does not."""

    @property
    def key(self) -> str:
        """What binds this dimension alone."""
        return f"{self.input_name}.{self.axis}"

    @property
    def keys(self) -> tuple[str, ...]:
        """Everything that binds it, the most exact first."""
        return (self.key, self.symbol) if self.symbol else (self.key,)

    @property
    def is_called_batch(self) -> bool:
        """Whether the model's own name for a first dimension says that it is the batch."""
        return self.axis == 0 and "batch" in self.symbol.lower()


def bind_dimensions(graph: GraphProto, *, batch: int, sizes: Mapping[str, int], what: str) -> None:
    """Gives every input a concrete shape, in place, and forgets the shapes that followed from the free ones.

    A free first dimension is the batch, unless `sizes` names it: then it is something else, such as tokens, unless the
    model calls it batch. Any other needs an entry in `sizes`, under the model's own name for it or as `input.axis`.

    Args:
        graph: Of the model; its inputs have no defaults.
        batch: Samples in one run.
        sizes: Size of each free dimension by name.
        what: Name of the model for the error message.

    Raises:
        ModelError: A size is not positive, names nothing, or is missing; or the batch is fixed or bound to another.
        UnsupportedModelError: An input is no tensor, or has no rank.
    """
    _check_positive(batch, sizes, what)
    dimensions = [dimension for value in graph.input for dimension in dimensions_of(value, what)]
    _check_names(dimensions, sizes, what)
    _check_batch(dimensions, batch, sizes, what)
    bound = _bound_sizes(dimensions, batch, sizes, what)
    for value in graph.input:
        shape = value.type.tensor_type.shape
        for axis, entry in enumerate(shape.dim):
            entry.dim_value = bound[f"{value.name}.{axis}"]
    for value in graph.output:
        if value.type.HasField("tensor_type"):
            value.type.tensor_type.ClearField("shape")
    graph.ClearField("value_info")


def dimensions_of(value: ValueInfoProto, what: str) -> Iterator[Dimension]:
    """Dimensions of an input.

    Raises:
        UnsupportedModelError: It is no tensor, or has no rank; `what` names the model.
    """
    if not value.type.HasField("tensor_type"):
        raise UnsupportedModelError(
            f"{what}: input {value.name!r} is a {value.type.WhichOneof('value') or 'value without a type'}; "
            "only tensors travel between stages"
        )
    if not value.type.tensor_type.HasField("shape"):
        raise UnsupportedModelError(f"{what}: input {value.name!r} has no rank: export the model with shapes")
    for axis, entry in enumerate(value.type.tensor_type.shape.dim):
        yield Dimension(input_name=value.name, axis=axis, size=_size_of(entry), symbol=_symbol_of(entry))


def _symbol_of(entry: TensorShapeProto.Dimension) -> str:
    # Some exporters write "?" for every dimension that they cannot name.
    return "" if entry.dim_param == "?" else entry.dim_param


def _size_of(entry: TensorShapeProto.Dimension) -> int:
    return max(entry.dim_value, 0) if entry.HasField("dim_value") else 0


def _check_positive(batch: int, sizes: Mapping[str, int], what: str) -> None:
    wrong = [f"{name}={size}" for name, size in (("batch", batch), *sizes.items()) if size < 1]
    if wrong:
        raise ModelError(f"{what}: a dimension must be at least 1, not {', '.join(wrong)}")


def _check_names(dimensions: list[Dimension], sizes: Mapping[str, int], what: str) -> None:
    free = [dimension for dimension in dimensions if not dimension.size]
    known = {key for dimension in free for key in dimension.keys}
    for name in sizes:
        if name in known:
            continue
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ModelError(f"{what} has no free dimension {name!r}{hint} {_describe(free)}")


def _check_batch(dimensions: list[Dimension], batch: int, sizes: Mapping[str, int], what: str) -> None:
    """The batch must be free somewhere, or be what the model is fixed or bound to."""
    firsts = [dimension for dimension in dimensions if dimension.axis == 0]
    if any(_is_batch(dimension, sizes) for dimension in firsts):
        return
    for dimension in firsts:
        size = _named_size(dimension, sizes)
        if size not in (None, batch) and (batch != 1 or dimension.is_called_batch):
            advice = f"give --batch {size} instead" if dimension.is_called_batch else "leave --batch out"
            raise ModelError(
                f"{what}: batch {batch} was asked for, but {dimension.symbol or dimension.key}, the first dimension "
                f"of input {dimension.input_name!r}, is bound to {size}: {advice}"
            )
    fixed = {dimension.size for dimension in firsts if dimension.size}
    if fixed and fixed != {batch} and (len(fixed) == 1 or batch != 1):
        first = next(dimension for dimension in firsts if dimension.size and dimension.size != batch)
        advice = f"pass --batch {first.size}" if len(fixed) == 1 else "pass --batch 1"
        raise ModelError(
            f"{what}: batch {batch} was asked for, but input {first.input_name!r} is fixed to {first.size}: "
            f"{advice} or export the model with a free first dimension"
        )


def _named_size(dimension: Dimension, sizes: Mapping[str, int]) -> int | None:
    return next((sizes[key] for key in dimension.keys if key in sizes), None)


def _is_batch(dimension: Dimension, sizes: Mapping[str, int]) -> bool:
    return dimension.axis == 0 and not dimension.size and _named_size(dimension, sizes) is None


def _bound_sizes(dimensions: list[Dimension], batch: int, sizes: Mapping[str, int], what: str) -> dict[str, int]:
    """Size of every dimension by its key."""
    batch_symbols = {d.symbol for d in dimensions if d.symbol and _is_batch(d, sizes)}
    bound: dict[str, int] = {}
    missing = []
    for dimension in dimensions:
        named = _named_size(dimension, sizes)
        if dimension.size:
            bound[dimension.key] = dimension.size
        elif named is not None:
            bound[dimension.key] = named
        elif _is_batch(dimension, sizes) or dimension.symbol in batch_symbols:
            bound[dimension.key] = batch
        else:
            missing.append(dimension)
    if missing:
        raise ModelError(f"{what} needs sizes for its free dimensions {_describe(missing)}")
    return bound


def _describe(free: list[Dimension]) -> str:
    if not free:
        return "(none is free)"
    entries = dict.fromkeys(f"{d.symbol or d.key} (axis {d.axis} of input {d.input_name!r})" for d in free)
    others = [d.symbol or d.key for d in free if d.axis]
    advice = [f"bind each, as in --dim {others[0]}=64"] if others else []
    if len(others) < len(free):
        advice.append("--batch says the first of an input")
    return f"[{', '.join(entries)}]: {'; '.join(advice)}"
