"""Which parameters weight decay acts on: the matrices and kernels that weigh inputs."""

from __future__ import annotations

from torch import nn

NO_DECAY = "no_weight_decay"


def undecayed(parameter: nn.Parameter) -> nn.Parameter:
    """Mark a parameter of two or more dimensions that weight decay is to leave alone, and return it.

    Such are the scan's A_log and D (the mark has this name in Mamba's code, too), its biases of several
    directions, class tokens and position embeddings.
    """
    setattr(parameter, NO_DECAY, True)
    return parameter


def decays(parameter: nn.Parameter) -> bool:
    """Return whether weight decay acts: not on norms and biases, of one dimension, nor on marked ones."""
    return parameter.ndim > 1 and not getattr(parameter, NO_DECAY, False)
