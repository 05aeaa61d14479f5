"""Training by several processes, one a device: `torchrun --nproc-per-node N ...`.

Every process computes the gradients of its own scans; they are averaged by one all-reduce after the backward passes,
which serves captured steps and the supernet's several passes alike. Statistics of norms are each process's own, as in
the released recipe; those of process 0 are everybody's at every checkpoint.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import Tensor, nn

from coevo.errors import ConfigError


@dataclass(frozen=True)
class Group:
    """This process among those that train together."""

    rank: int = 0
    world: int = 1
    device: torch.device = torch.device("cpu")  # noqa: RUF009

    @classmethod
    def join(cls, device: str = "cpu") -> Group:
        """As torchrun's environment says; alone where there is none. With several processes "cuda" means the device of
        this process's local rank. ConfigError where there are more processes than devices."""
        world = int(os.environ.get("WORLD_SIZE", "1"))
        if world == 1:
            return cls(device=torch.device(device))
        rank, local = int(os.environ["RANK"]), int(os.environ.get("LOCAL_RANK", os.environ["RANK"]))
        of = torch.device(device)
        if of.type == "cuda":
            if local >= torch.cuda.device_count():
                raise ConfigError(f"process {local} of this machine has no device: there are "
                                  f"{torch.cuda.device_count()}; start as many processes as devices")  # fmt: skip
            of = torch.device("cuda", local)
            torch.cuda.set_device(of)
        if not torch.distributed.is_initialized():
            backend = "nccl" if of.type == "cuda" else "gloo"
            torch.distributed.init_process_group(backend, timeout=timedelta(minutes=10))
        return cls(rank, world, of)

    @property
    def leads(self) -> bool:
        """Whether this process writes files and speaks."""
        return self.rank == 0

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Every gradient becomes the mean over the processes, in one reduction; an absent one counts as zero."""
        if self.world == 1:
            return
        found = list(parameters)
        grads = [each.grad if each.grad is not None else torch.zeros_like(each) for each in found]
        flat = torch.cat([each.reshape(-1).float() for each in grads])
        torch.distributed.all_reduce(flat)
        flat /= self.world
        first = 0
        for each, grad in zip(found, grads, strict=True):
            grad.copy_(flat[first : first + grad.numel()].view_as(grad))
            each.grad = grad
            first += grad.numel()

    def share(self, tensors: Iterable[Tensor]) -> None:
        """Those of process 0 become everybody's."""
        if self.world > 1:
            with torch.no_grad():
                for each in tensors:
                    torch.distributed.broadcast(each, src=0)

    def sum(self, tensor: Tensor) -> Tensor:
        """The sum over the processes, in place."""
        if self.world > 1:
            torch.distributed.all_reduce(tensor)
        return tensor

    def wait(self) -> None:
        """Until every process is here."""
        if self.world > 1:
            torch.distributed.barrier()
