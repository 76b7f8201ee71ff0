"""Low-rank updates of a network's weights (arXiv 2106.09685), merged in place and taken out again.

Merged, an adapter costs no kernel per step, and a compiled network stays compiled. Meanwhile, the original values of
the updated weights are in host memory, from which the next swap restores them bit for bit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from diffusers import DDIMScheduler
from torch import Tensor, nn

from cinemo_spec.card import ModelCard
from cinemo_spec.errors import CheckpointError


@dataclass(frozen=True)
class Update:
    """The update `scale * up @ down` of one layer's weight; convolutions as in peft, the kernel in `down`.

    Attributes:
        down: `(rank, in)` or `(rank, in, k, k)`.
        up: `(out, rank)` or `(out, rank, 1, 1)`.
    """

    down: Tensor
    up: Tensor
    scale: float

    def of(self, weight: Tensor) -> Tensor:
        """The update in float32, in the shape and on the device of the weight `(out, in)` or `(out, in, k, k)`."""
        down, up = (each.to(weight.device, torch.float32).flatten(1) for each in (self.down, self.up))
        return (up @ down).mul_(self.scale).view(weight.shape)

    def fits(self, weight: Tensor) -> bool:
        """Whether the update has the weight's shape."""
        rows, columns = self.up.flatten(1).shape, self.down.flatten(1).shape
        return rows[1] == columns[0] and (rows[0], *self.down.shape[1:]) == weight.shape


@dataclass(frozen=True)
class Adapter:
    """An adapter in memory; equal to another one of the same revision.

    Attributes:
        card: with the adapter's base.
        updates: by the names of the UNet's layers.
        scheduler: the adapter's own noise schedule; None for the base's.
    """

    revision: str
    card: ModelCard = field(compare=False, repr=False)
    updates: Mapping[str, Update] = field(compare=False, repr=False)
    scheduler: DDIMScheduler | None = field(compare=False, repr=False)

    @property
    def bytes(self) -> int:
        """Memory of the updates."""
        return sum(each.nbytes for update in self.updates.values() for each in (update.down, update.up))


Weighted = tuple[tuple[Adapter, float], ...]
"""Adapters and their weights."""


class Merged:
    """What is merged into a network's weights, and the weights before."""

    def __init__(self) -> None:
        self.adapters: Weighted | None = ()
        """None if a swap failed halfway."""
        self._originals: dict[str, Tensor] = {}

    @property
    def bytes(self) -> int:
        """Host memory of the weights before."""
        return sum(each.nbytes for each in self._originals.values())

    @torch.no_grad()
    def swap(self, network: nn.Module, adapters: Weighted) -> None:
        """Merge these adapters in place of those before; the weights' storage stays the same.

        Raises:
            CheckpointError: an adapter does not fit the network, which stays as it is.
        """
        if adapters == self.adapters:
            return
        check_updates(network, [adapter for adapter, _ in adapters])
        weights = {name: layer.weight for name, layer in network.named_modules() if hasattr(layer, "weight")}
        self.adapters = None
        updated = {name for adapter, _ in adapters for name in adapter.updates}
        for name in self._originals.keys() - updated:
            weights[name].copy_(self._originals.pop(name))
        for name in updated:
            weight = weights[name]
            if name not in self._originals:
                self._originals[name] = weight.to("cpu", copy=True)
            total = self._originals[name].to(weight.device, torch.float32, copy=True)
            for adapter, share in adapters:
                if name in adapter.updates:
                    total.add_(adapter.updates[name].of(weight), alpha=share)
            weight.copy_(total)
        self.adapters = adapters

    def keep(self) -> None:
        """Make what is merged part of the network for good."""
        self.adapters = ()
        self._originals.clear()


def check_updates(network: nn.Module, adapters: Sequence[Adapter]) -> None:
    """Raise `CheckpointError` unless every update has a layer with a weight of its shape."""
    layers = dict(network.named_modules())
    for adapter in adapters:
        for name, update in adapter.updates.items():
            weight = getattr(layers.get(name), "weight", None)
            if not isinstance(weight, Tensor) or not update.fits(weight):
                raise CheckpointError(f"adapter {adapter.card.name} does not fit its base: the update of {name}")
            if weight.is_meta:
                raise CheckpointError("adapters cannot be swapped with sequential offloading; use model offloading")
