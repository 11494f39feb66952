"""The digest by which a model is known in plans and profiles."""

import hashlib

import onnx

from partitioner.onnx_io.reader import SourceModel


def model_digest(source: SourceModel) -> str:
    """Sha256 of a model, weights included, however the file stores them.

    Names of nodes, comments and the name of the exporter do not count: two exports of one module are one model.
    """
    proto = onnx.ModelProto()
    proto.CopyFrom(source.proto)
    for field in ("producer_name", "producer_version", "domain", "model_version"):
        proto.ClearField(field)
    proto.graph.ClearField("name")
    proto.graph.ClearField("value_info")
    for node in proto.graph.node:
        node.ClearField("name")
        node.ClearField("metadata_props")
    tensors = sorted(proto.graph.initializer, key=lambda tensor: tensor.name)
    del proto.graph.initializer[:]
    proto.graph.initializer.extend(tensors)
    return hashlib.sha256(proto.SerializeToString(deterministic=True)).hexdigest()
