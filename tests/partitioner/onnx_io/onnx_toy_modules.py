"""Factories of torch modules for the tests; torch is imported when one is called."""

import typing

if typing.TYPE_CHECKING:
    import torch


def build_small() -> "torch.nn.Module":
    import torch

    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 7, stride=8),
        torch.nn.ReLU(),
        torch.nn.Dropout(),
        torch.nn.Flatten(),
        torch.nn.Linear(4 * 28 * 28, 9),
    )


def build_pair() -> "tuple[torch.nn.Module, tuple[torch.Tensor, ...]]":
    import torch

    module = torch.nn.Sequential(torch.nn.Linear(24, 32), torch.nn.GELU(), torch.nn.Linear(32, 8), torch.nn.Tanh())
    return module, (torch.zeros(2, 24),)


def build_wrong() -> str:
    return "a string"


def build_failing() -> None:
    raise OSError("disk on fire")


def build_narrow() -> "torch.nn.Module":
    """Takes no images."""
    import torch

    return torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.ReLU())


def build_dynamic() -> "tuple[torch.nn.Module, tuple[torch.Tensor, ...]]":
    import torch

    class ValueDependent(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * 2 if x.sum() > 0 else x.flip(0)

    return ValueDependent(), (torch.ones(1, 4),)
