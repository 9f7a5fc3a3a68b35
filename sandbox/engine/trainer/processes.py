"""Several processes that train one job together: each takes its share of every batch.

A launcher (`accelerate launch`, torchrun) starts them and tells each its place. A process without
one is the only one, and nothing here changes what it does.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TypeVar

import torch
import torch.distributed as dist

T = TypeVar("T")


def join() -> None:
    """Meet the other processes of the launcher, if there is one; each takes a GPU of its own."""
    if "RANK" not in os.environ:
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")


def several() -> bool:
    """Whether this process has joined others."""
    return dist.is_available() and dist.is_initialized()


def is_first() -> bool:
    """Whether this is the process that writes and speaks for all."""
    return not several() or dist.get_rank() == 0


def share(everything: Sequence[T]) -> Sequence[T]:
    """The part of this process. It is empty where there is less than one for each."""
    return everything[dist.get_rank() :: dist.get_world_size()] if several() else everything


def sums(*numbers: float) -> Sequence[float]:
    """The sums of numbers over all processes."""
    if not several():
        return numbers
    device = "cuda" if dist.get_backend() == "nccl" else "cpu"
    total = torch.tensor(numbers, dtype=torch.float64, device=device)
    dist.all_reduce(total)
    return total.tolist()


def add_gradients(weights: Iterable[torch.nn.Parameter]) -> None:
    """Give each weight the sum of its gradients over all processes."""
    if not several():
        return
    for weight in weights:
        if weight.grad is None:  # of a process without a share
            weight.grad = torch.zeros_like(weight)
        dist.all_reduce(weight.grad)
