"""The torch side of the baselines: the same network with the same weights, run eagerly, cut at the same place."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from partitioner.onnx_io.torch_door import build_zoo_model

_SIDE = 224
SEED = 0


def use_one_thread() -> None:
    """One thread computes in this process, and nothing is recorded for gradients."""
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)


def torch_half(name: str, n_blocks: int, index: int) -> torch.nn.Module:
    """The part before (0) or after (1) a split after `n_blocks` blocks, ready to infer."""
    blocks = zoo_blocks(name)
    return torch.nn.Sequential(*(blocks[n_blocks:] if index else blocks[:n_blocks]))


def torch_boundary(name: str, n_blocks: int, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
    """What torch makes of the one input before a split."""
    (values,) = inputs.values()
    with torch.no_grad():
        boundary: np.ndarray = torch_half(name, n_blocks, 0)(torch.from_numpy(values)).numpy()
    return boundary


def zoo_blocks(name: str) -> list[torch.nn.Module]:
    """Modules that, one after another, are the model; the weights are those that `load_model` exports.

    Raises:
        KeyError: How this model goes together is not written here.
    """
    module: Any = build_zoo_model(name, (1, 3, _SIDE, _SIDE), seed=SEED)
    head = [torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(1)]
    if name == "mobilenet_v2":
        return [*module.features, *head, module.classifier]
    if name == "resnet18":
        stem = torch.nn.Sequential(module.conv1, module.bn1, module.relu, module.maxpool)
        layers = [block for layer in (module.layer1, module.layer2, module.layer3, module.layer4) for block in layer]
        return [stem, *layers, *head, module.fc]
    raise KeyError(name)
