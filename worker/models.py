"""Loaded pipelines: the service's own model stays, published ones as long as they fit, the least recently used out."""

import shutil
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp

import structlog
import torch

from cinemo_core import CinemoPipeline
from cinemo_core.devices import device_of, dtype_of
from service.contract.record import DEFAULT_TENANT
from service.contract.settings import Settings
from service.storage.models import ModelRegistry, PublishedModel

log = structlog.get_logger()


@dataclass
class Pipelines:
    """The pipelines of one worker process, which runs one job at a time: none is in use while another is loaded."""

    settings: Settings
    registry: ModelRegistry
    own: dict[str, CinemoPipeline] = field(default_factory=dict)
    published: OrderedDict[tuple[str, str], tuple[CinemoPipeline, int]] = field(default_factory=OrderedDict)
    """By tenant and reference: what one tenant calls by a name is nobody else's."""

    def get(self, reference: str, tenant: str = DEFAULT_TENANT) -> CinemoPipeline:
        """The pipeline of the service's own model, of `tiny`, or of a published `name@revision`.

        Raises:
            CheckpointError: the model cannot be loaded.
            ModelUnknown: there is no such model.
        """
        if reference in (self.settings.model, "tiny"):
            if reference not in self.own:
                self.own[reference] = self._load(reference, reference)
            return self.own[reference]
        key = (tenant, reference)
        if key not in self.published:
            self._add(key, self.registry.find(reference, tenant))
        self.published.move_to_end(key)
        return self.published[key][0]

    def _add(self, key: tuple[str, str], model: PublishedModel) -> None:
        """Make room, then fetch and load; the files are gone once their tensors are mapped."""
        self._make_room(model.bytes)
        folder = Path(mkdtemp(prefix=f"{model.name}-"))
        try:
            self.registry.fetch(model, folder)
            pipe = self._load(model.reference, str(folder))
        finally:
            shutil.rmtree(folder)
        self.published[key] = pipe, model.bytes

    def _make_room(self, wanted: int) -> None:
        """Let go of pipelines until there is room, or none is left."""
        while (
            self.published
            and sum(size for _, size in self.published.values()) + wanted > self.settings.model_cache_bytes
        ):
            (_, reference), _ = self.published.popitem(last=False)
            log.info("model let go", model=reference)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def let_go(self) -> None:
        """Let go of all published pipelines; one that still runs stays for as long as it does."""
        self.published.clear()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _load(self, reference: str, place: str) -> CinemoPipeline:
        device = device_of(self.settings.device)
        dtype = dtype_of(self.settings.torch_dtype, device)
        codec = self.settings.codec if reference == self.settings.model else "auto"
        pipe = CinemoPipeline.from_pretrained(place, dtype, device, codec)
        pipe.set_progress_bar_config(disable=True)
        if device.startswith("cuda"):
            # What is left in float32, as a VAE that overflows otherwise; noise and detail see to themselves.
            torch.set_float32_matmul_precision("high")
        if self.settings.compile_unet:
            pipe.unet.compile()
        # The revision is read from the files, which need not be there later.
        log.info("model loaded", model=reference, revision=pipe.revision, device=device)
        return pipe
