"""Sweeps and runs for tests: by hand, and any that can be."""

from hypothesis import strategies as st

from coordinator.results.values import Case, LinkFound, ResourceUse, Run, Sample, Sweep
from partitioner.plan import Plan, Stage

DIGEST = "ab" * 32


def sample_case(number=0, **changes):
    plan = Plan(
        model_sha256=DIGEST,
        batch=1,
        window=4,
        stages=(
            Stage(device="pi-1", start=0, stop=number + 1, codec="int8"),
            Stage(device="server", start=number + 1, stop=40, replicas=("pi-2",)),
        ),
    )
    return Case(
        **{
            "model": "mobilenet_v2",
            "cluster": "lab",
            "nodes": ("pi-1", "pi-2", "server"),
            "condition": "wifi-poor",
            "plan_label": f"split {number + 1}",
            "plan": plan,
            **changes,
        }
    )


def sample_sweep(name="paper", n_cases=3, n_repeats=2, **changes):
    cases = tuple(map(sample_case, range(n_cases)))
    return Sweep(
        **{
            "name": name,
            "spec": {"models": ["mobilenet_v2"], "rate": 1.5, "nested": {"b": [1, None], "a": True}},
            "seed": 7,
            "created_at": "2026-01-02T03:04:05+00:00",
            "versions": {"python": "3.11", "splitfront": "0.1.0"},
            "cases": cases,
            "n_repeats": n_repeats,
            "order": tuple((case.key, repeat) for repeat in range(n_repeats) for case in reversed(cases)),
            **changes,
        }
    )


def sample_run(sweep, *, case=0, repeat=0, attempt=0, n_samples=3, state="done", **changes):
    key = sweep.cases[case].key
    return Run(
        **{
            "sweep": sweep.name,
            "case_key": key,
            "repeat": repeat,
            "attempt": attempt,
            "position": sweep.order.index((key, repeat)),
            "state": state,
            "reason": "" if state == "done" else "The link was slower than asked.",
            "began_at": "2026-01-02T03:05:00+00:00",
            "seconds": 1.25 + attempt,
            "coordinator": "desk:4711",
            "links": (
                LinkFound(source="pi-1", target="server", round_trip_seconds=0.1 + 0.2, asked_bytes_per_second=625e3),
            ),
            "resources": (
                ResourceUse(resource="link:pi-1->server", busy_seconds=0.1 + 0.2, tensor_bytes=1 / 3),
                ResourceUse(resource="device:pi-1", busy_seconds=0.25),
            ),
            "environment": {"before": {"load": 0.5, "governor": None}, "after": {"load": 1, "throttled": False}},
            "predicted_latency_seconds": 0.1,
            "figures": {"latency_seconds": 1 / 3, "throughput_per_second": float("inf")},
            "samples": tuple(
                Sample(
                    scenario="single_stream" if number % 2 else "offline",
                    request=number,
                    sent_seconds=number / 7,
                    received_seconds=number / 7 + 0.1,
                    compute_seconds=(0.1 * number, 1e-300),
                )
                for number in range(n_samples)
            ),
            **changes,
        }
    )


# Text that UTF-8 and PostgreSQL can hold; that other text is refused has a test of its own.
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12)
numbers = st.floats(allow_nan=False).map(lambda number: number + 0.0)
optional_numbers = st.none() | numbers
whole_numbers = st.integers(-(2**63), 2**63 - 1)
counts = st.integers(0, 1000)
documents = st.dictionaries(
    texts,
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
        max_leaves=6,
    ),
    max_size=3,
)

plans = st.builds(
    Plan,
    model_sha256=texts,
    batch=counts,
    window=counts,
    stages=st.lists(
        st.builds(
            Stage,
            device=texts,
            start=counts,
            stop=counts,
            codec=texts,
            replicas=st.lists(texts, max_size=2).map(tuple),
        ),
        max_size=3,
    ).map(tuple),
)
cases = st.builds(
    Case,
    model=texts,
    cluster=texts,
    nodes=st.lists(texts, max_size=3).map(tuple),
    condition=texts,
    plan_label=texts,
    plan=plans,
    data_plane=texts,
    codec=texts,
)
samples = st.builds(
    Sample,
    scenario=st.sampled_from(["single_stream", "offline"]),
    request=whole_numbers,
    sent_seconds=numbers,
    received_seconds=numbers,
    compute_seconds=st.lists(st.floats(allow_nan=False), max_size=3).map(tuple),
)
links = st.builds(
    LinkFound,
    source=texts,
    target=texts,
    round_trip_seconds=optional_numbers,
    bytes_per_second=optional_numbers,
    asked_round_trip_seconds=optional_numbers,
    asked_bytes_per_second=optional_numbers,
)
resources = st.builds(ResourceUse, resource=texts, busy_seconds=numbers, tensor_bytes=optional_numbers)


@st.composite
def measured_sweeps(draw):
    """(sweep, its runs in the order in which a store gives them)."""
    held = draw(st.lists(cases, min_size=1, max_size=3, unique_by=lambda case: case.key))
    sweep = Sweep(
        name=draw(names),
        spec=draw(documents),
        seed=draw(whole_numbers),
        created_at=draw(texts),
        versions=draw(st.dictionaries(texts, texts, max_size=3)),
        cases=tuple(held),
        n_repeats=draw(counts),
        order=tuple((case.key, draw(counts)) for case in held),
    )
    runs = [
        Run(
            sweep=sweep.name,
            case_key=draw(st.sampled_from(held)).key,
            repeat=draw(counts),
            attempt=number,
            position=number,
            state=draw(st.sampled_from(["invalid", "failed", "done"])) if number == 0 else "invalid",
            reason=draw(texts),
            began_at=draw(texts),
            seconds=draw(numbers),
            coordinator=draw(texts),
            links=tuple(draw(st.lists(links, max_size=2))),
            resources=tuple(draw(st.lists(resources, max_size=2))),
            environment=draw(documents),
            predicted_latency_seconds=draw(optional_numbers),
            predicted_throughput_per_second=draw(optional_numbers),
            figures=draw(st.dictionaries(texts, st.floats(), max_size=3)),
            samples=tuple(draw(st.lists(samples, max_size=4))),
        )
        for number in range(draw(st.integers(0, 3)))
    ]
    return sweep, tuple(runs)


def bits(value):
    """What tells values apart to the last bit: not-a-number equals itself, 0.0 is not -0.0, 1 is not 1.0."""
    if isinstance(value, float):
        return value.hex()
    if isinstance(value, dict):
        return {key: bits(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [type(value).__name__, *map(bits, value)]
    if hasattr(value, "__dataclass_fields__"):
        return [type(value).__name__, *(bits(getattr(value, name)) for name in value.__dataclass_fields__)]
    return repr(value)
