"""Factories of small transformers with random weights; torch is imported when one is called."""

import typing
import warnings

if typing.TYPE_CHECKING:
    import torch

N_BLOCKS = 3
SIZES = {"hidden_size": 64, "num_hidden_layers": N_BLOCKS, "num_attention_heads": 4, "intermediate_size": 128}


def build_bert() -> "tuple[torch.nn.Module, tuple[torch.Tensor, ...]]":
    import torch

    transformers = import_transformers()
    config = transformers.BertConfig(vocab_size=99, max_position_embeddings=40, **SIZES)
    tokens = torch.randint(0, 99, (1, 16))
    return transformers.BertModel(config).eval(), (tokens, torch.ones(1, 16, dtype=torch.long))


def build_vit() -> "tuple[torch.nn.Module, tuple[torch.Tensor, ...]]":
    import torch

    transformers = import_transformers()
    config = transformers.ViTConfig(image_size=32, patch_size=8, num_labels=7, **SIZES)
    return transformers.ViTForImageClassification(config).eval(), (torch.randn(1, 3, 32, 32),)


def import_transformers() -> typing.Any:
    """transformers imports torchvision, whose compiled part may not fit this torch."""
    from partitioner.onnx_io.torch_door import import_torchvision

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import_torchvision()
        import transformers
        from transformers import BertModel, ViTForImageClassification  # noqa: F401 (imported late by transformers)
    return transformers
