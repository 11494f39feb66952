"""ONNX at the edge: loading, cutting, verifying; the only place that imports onnx."""

from partitioner.onnx_io.coding_trial import RoundTrip, measure_codings
from partitioner.onnx_io.given_inputs import inputs_digest, read_inputs
from partitioner.onnx_io.load import load_model
from partitioner.onnx_io.model import Model
from partitioner.onnx_io.verify import cut_plan, verify_shards

__all__ = [
    "Model",
    "RoundTrip",
    "cut_plan",
    "inputs_digest",
    "load_model",
    "measure_codings",
    "read_inputs",
    "verify_shards",
]
