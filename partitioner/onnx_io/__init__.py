"""ONNX at the edge: loading, cutting, verifying; the only place that imports onnx."""
