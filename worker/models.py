"""Loaded pipelines: the service's own model stays loaded, published models are evicted least recently used first."""

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
    """The pipelines of a worker process. It runs one job at a time, so none is in use while another is being loaded."""

    settings: Settings
    registry: ModelRegistry
    own: dict[str, CinemoPipeline] = field(default_factory=dict)
    published: OrderedDict[tuple[str, str], tuple[CinemoPipeline, int]] = field(default_factory=OrderedDict)
    """Pipeline and size in bytes, by tenant and reference, since tenants may use the same names."""

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
        """Free memory, then download and load; the files can be deleted once their tensors are mapped."""
        self._evict(model.bytes)
        folder = Path(mkdtemp(prefix=f"{model.name}-"))
        try:
            self.registry.fetch(model, folder)
            pipe = self._load(model.reference, str(folder))
        finally:
            shutil.rmtree(folder)
        self.published[key] = pipe, model.bytes

    def _evict(self, needed: int) -> None:
        """Unload published pipelines until `needed` bytes fit into the cache, or none is left."""
        while (
            self.published
            and sum(size for _, size in self.published.values()) + needed > self.settings.model_cache_bytes
        ):
            (_, reference), _ = self.published.popitem(last=False)
            log.info("model unloaded", model=reference)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def unload_published(self) -> None:
        """Unload all published pipelines; one that is running stays in memory until it finishes."""
        self.published.clear()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _load(self, reference: str, name_or_path: str) -> CinemoPipeline:
        device = device_of(self.settings.device)
        dtype = dtype_of(self.settings.torch_dtype, device)
        codec = self.settings.codec if reference == self.settings.model else "auto"
        pipe = CinemoPipeline.from_pretrained(name_or_path, dtype, device, codec)
        pipe.set_progress_bar_config(disable=True)
        if device.startswith("cuda"):
            # For what stays in float32, such as a VAE that overflows otherwise; noise and detail set their own.
            torch.set_float32_matmul_precision("high")
        if self.settings.compile_unet:
            pipe.unet.compile()
        # Reads the revision now, because the files may be deleted later.
        log.info("model loaded", model=reference, revision=pipe.revision, device=device)
        return pipe
