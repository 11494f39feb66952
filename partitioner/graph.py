"""A network as this package sees it: layers in one order, units, and the tensors between them."""

from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from partitioner.tensors import TensorSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One vertex of the graph. Constants are not layers."""

    index: int
    """Position in the graph's topological order, 0-based."""
    name: str
    op: str
    """Operator type, `Conv`; with its domain where that is not the standard one, `com.microsoft.Gelu`."""
    inputs: tuple[str, ...]
    """Tensors read that depend on the model's inputs; weights and constants are left out."""
    outputs: tuple[str, ...]
    weight_bytes: int
    """Bytes of the initializers that this layer reads (a shared one counts for each reader)."""
    flops: int
    """Estimated floating-point operations of one run; 0 where nobody counts them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """Layers that the runtime fuses: a half-open span of layers that is never split."""

    index: int
    name: str
    start: int
    stop: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitPoint:
    """A position between two units: `position` units lie before it."""

    position: int
    """1 … n_units - 1."""
    boundary: tuple[str, ...]
    """Names of all tensors that are alive across it, in the order in which they are produced."""
    boundary_bytes: int
    after: str
    """Name of the last unit before it."""

    @property
    def is_block_level(self) -> bool:
        """Whether a single tensor crosses, as between two blocks of a residual network."""
        return len(self.boundary) == 1


@dataclass(frozen=True, kw_only=True)
class Graph:
    """A network for one batch size, with every shape known. A value: shared freely between threads."""

    name: str
    model_sha256: str
    """Digest of the whole model, weights included."""
    batch: int
    layers: tuple[Layer, ...]
    units: tuple[Unit, ...]
    """Cover the layers without gap or overlap, in order."""
    tensors: tuple[TensorSpec, ...]
    """Every tensor that a layer reads or writes, inputs and outputs of the model included."""
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    @property
    def n_units(self) -> int:
        """Number of units; a stage is a half-open span of them."""
        return len(self.units)

    @cached_property
    def spec_of(self) -> dict[str, TensorSpec]:
        """Specification of each tensor, by name."""
        return {spec.name: spec for spec in self.tensors}

    @cached_property
    def boundaries(self) -> tuple[tuple[str, ...], ...]:
        """Names of the tensors alive at each position 0 … n_units.

        Position 0 holds the model's inputs (those never read left out), position n_units its outputs. In between, a
        tensor is alive where it was produced before and is read later, or is an output of the model.
        """
        born: list[list[str]] = [[] for _ in range(self.n_units + 1)]
        dead: list[list[str]] = [[] for _ in range(self.n_units + 2)]
        for name, (first, last) in self._lifetimes.items():
            born[first].append(name)
            dead[last + 1].append(name)
        alive: dict[str, None] = {}
        boundaries = []
        for position in range(self.n_units + 1):
            for name in dead[position]:
                del alive[name]
            alive.update(dict.fromkeys(born[position]))
            boundaries.append(tuple(alive))
        return tuple(boundaries)

    @cached_property
    def _lifetimes(self) -> dict[str, tuple[int, int]]:
        """First and last position at which a tensor is alive, in the order in which they are produced."""
        born = dict.fromkeys(self.inputs, 0)
        unit_of = [unit.index for unit in self.units for _ in range(unit.start, unit.stop)]
        last_read = dict.fromkeys(self.outputs, self.n_units)
        for layer in self.layers:
            for name in layer.outputs:
                born[name] = unit_of[layer.index] + 1
            for name in layer.inputs:
                last_read[name] = max(last_read.get(name, 0), unit_of[layer.index])
        return {name: (first, last_read[name]) for name, first in born.items() if last_read.get(name, -1) >= first}

    @cached_property
    def _bytes_alive(self) -> tuple[int, ...]:
        """Bytes of each boundary. Adds up births and deaths: a wide graph has more names alive than anyone can sum."""
        change = [0] * (self.n_units + 2)
        for name, (first, last) in self._lifetimes.items():
            change[first] += self.spec_of[name].n_bytes
            change[last + 1] -= self.spec_of[name].n_bytes
        return tuple(accumulate(change[:-1]))

    def boundary_bytes(self, position: int) -> int:
        """Bytes that cross between the units before `position` and those from it on."""
        return self._bytes_alive[position]

    @cached_property
    def split_points(self) -> tuple[SplitPoint, ...]:
        """Every position between two units."""
        return tuple(
            SplitPoint(
                position=position,
                boundary=self.boundaries[position],
                boundary_bytes=self.boundary_bytes(position),
                after=self.units[position - 1].name,
            )
            for position in range(1, self.n_units)
        )

    def weight_bytes(self, start: int, stop: int) -> int:
        """Bytes of the weights that the units [start, stop) read."""
        layers = self.layers[self.units[start].start : self.units[stop - 1].stop]
        return sum(layer.weight_bytes for layer in layers)
