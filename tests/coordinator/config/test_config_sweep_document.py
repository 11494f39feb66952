"""A sweep's file, written again from what the sweep was begun with."""

import json

import pytest

from coordinator.config import example_text
from coordinator.config.bandwidth_trace import parse_trace
from coordinator.config.document import parse_yaml
from coordinator.config.sweep_document import sweep_document, trace_csv
from coordinator.config.sweep_file import checked_sweep

FULL = """
name: full
seed: 3
models: [resnet18, {source: resnet50, name: large, dims: {seconds: 3}, seed: 4}]
clusters:
  - local: 2
    subsets: [[local-2, local-1], [local-1]]
  - cluster:
      name: lab
      data_plane: tcp
      nodes:
        - {name: a, local: true, threads: 1, memory: 300MiB, cores: 0-1, limits: {trial: 1.7s, store: 1.3GB}}
        - {name: b, local: true, emulate: {slowdown: 3}, idle_watts: 1.5}
      links:
        default: {delay: 7us, rate: unlimited, loss: 0.7%}
        between: [{from: a, to: b, rate: 3.3mbit}, {from: b, to: client, both: false, forbidden: true}]
      media: [{name: air, nodes: [a], links: [{from: a, to: client}]}]
  - cluster:
      name: far
      nodes: [{name: p, address: 'pi:50051', ssh: {user: pi, jump: {host: gate}}, limits: {run: 20s}}]
      security: {plaintext: true}
conditions:
  - as-is
  - lte
  - name: radio
    profile: wifi-good
    default: {loss: 1.1%, jitter: 3us, rate: 0.3x}
batches: [1, 4]
codecs: [none, int8]
plans: [block-level, random: 3, splits: [1], spread: 2]
window: 5
repeats: {least: 2, most: 4, interval: null, budget: 90min}
effort: {seconds: 150ms, requests: 20}
profile: 1.5s
"""

LINKS = """
name: links
models: [net]
clusters: [local: 2]
conditions:
  - name: mixed
    between: [{from: client, to: local-1, both: false, delay: 2.5x}, {from: local-1, to: local-2, rate: 7mbit}]
plans: [all, front]
"""


def spec_of(text, **changes):
    return json.loads(json.dumps(checked_sweep(parse_yaml(text), source="sweep.yaml", **changes).spec))


@pytest.mark.parametrize(
    "text", [FULL, FULL.replace("interval: null", "interval: 3.3%"), LINKS, example_text("sweep.yaml")]
)
def test_what_is_written_asks_for_the_same(text):
    spec = spec_of(text)
    assert spec_of(json.dumps(sweep_document(spec, {}))) == spec


def test_a_trace_is_written_as_it_was_recorded(tmp_path):
    recorded = "seconds,rate,delay\n0,0.8mbit,7us\n0.1,3mbit,20ms\n0.7,1.1mbit,0\n"
    (tmp_path / "one.csv").write_text(recorded)
    text = "name: s\nmodels: [net]\nclusters: [local: 2]\nplans: [all]\nconditions: [{name: drive, trace: one.csv}]\n"
    spec = spec_of(text, folder=tmp_path)
    (tmp_path / "two.csv").write_text(trace_csv(spec["traces"]["drive"]))
    again = spec_of(json.dumps(sweep_document(spec, {"drive": "two.csv"})), folder=tmp_path)
    assert [step[1:] for step in again["traces"]["drive"]] == [step[1:] for step in spec["traces"]["drive"]]
    lengths = [[step[0] for step in one["traces"]["drive"]] for one in (again, spec)]
    assert lengths[0] == pytest.approx(lengths[1])
    assert parse_trace(trace_csv([(1.0, 2e5, None)]), source="lone")[0].delay_seconds is None
