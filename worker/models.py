"""Loaded models: the service's own model stays loaded, published models are evicted least recently used first."""

import shutil
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp

import structlog
import torch

from cinemo_core import CheckpointError, CinemoPipeline
from cinemo_core.checkpoint import Codec, base_of, load_adapter, locate
from cinemo_core.devices import device_of, dtype_of
from cinemo_core.merging import Adapter
from cinemo_spec.card import BUILT_IN_CARDS
from cinemo_spec.parameters import AdapterChoice
from service.contract.record import DEFAULT_TENANT
from service.contract.settings import Settings
from service.storage.models import ModelRegistry, PublishedModel

log = structlog.get_logger()


Loaded = CinemoPipeline | Adapter


@dataclass
class Pipelines:
    """The models of a worker process. One job at a time uses them, so none is in use while another is being loaded.

    Adapters share the pipeline of their base, which merges those of the job that is running.
    """

    settings: Settings
    registry: ModelRegistry
    own: dict[str, Loaded] = field(default_factory=dict)
    published: OrderedDict[tuple[str, str], tuple[Loaded, int]] = field(default_factory=OrderedDict)
    """Published models and their size in bytes, by tenant and reference, since tenants may use the same names."""

    def get(
        self, reference: str, tenant: str = DEFAULT_TENANT, adapters: Iterable[AdapterChoice] = ()
    ) -> CinemoPipeline:
        """The pipeline of the service's own model, of a built-in one, or of a published `name@revision`, with adapters.

        Raises:
            CheckpointError: a model cannot be loaded, or an adapter was trained on another base.
            ModelUnknown: there is no such model.
        """
        pipe = self._pipeline(self._load(reference, tenant), tenant)
        chosen = [(self._load(each.model, tenant), each.weight) for each in adapters]
        return pipe.with_adapters([(require_adapter(loaded), weight) for loaded, weight in chosen]) if chosen else pipe

    def _pipeline(self, loaded: Loaded, tenant: str) -> CinemoPipeline:
        """A model's pipeline; an adapter's is that of its base, with the adapter."""
        if isinstance(loaded, CinemoPipeline):
            return loaded
        assert loaded.card.base is not None
        name = loaded.card.base.model
        base = self._own(name) if any(loaded is each for each in self.own.values()) else self._load(name, tenant)
        if isinstance(base, Adapter):
            raise CheckpointError(f"the base of {loaded.card.name} is an adapter, too")
        return base.specialized(loaded)

    def _load(self, reference: str, tenant: str) -> Loaded:
        """The model, from memory if it is loaded already."""
        if reference in (self.settings.model, *BUILT_IN_CARDS):
            return self._own(reference)
        key = (tenant, reference)
        if key not in self.published:
            self._add(key, self.registry.find(reference, tenant))
        self.published.move_to_end(key)
        return self.published[key][0]

    def _own(self, reference: str) -> Loaded:
        """The service's own model, a built-in one, or the base of one of these."""
        if reference not in self.own:
            built_in = reference in BUILT_IN_CARDS and reference != self.settings.model
            self.own[reference] = self._read(reference, reference, "auto" if built_in else self.settings.codec)
        return self.own[reference]

    def _add(self, key: tuple[str, str], model: PublishedModel) -> None:
        """Free memory, then download and load; the files can be deleted once their tensors are mapped."""
        self._evict(model.loaded_bytes)
        folder = Path(mkdtemp(prefix=f"{model.name}-"))
        try:
            self.registry.fetch(model, folder)
            loaded = self._read(model.reference, str(folder))
        finally:
            shutil.rmtree(folder)
        self.published[key] = loaded, model.loaded_bytes

    def _evict(self, needed: int) -> None:
        """Unload published models until `needed` bytes fit into the cache, or none is left."""
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

    def _read(self, reference: str, name_or_path: str, codec: Codec = "auto") -> Loaded:
        """Load a model's files: an adapter alone, without its base."""
        folder = locate(name_or_path)
        if base_of(folder):
            adapter = load_adapter(folder)
            log.info("adapter loaded", model=reference, revision=adapter.revision, bytes=adapter.bytes)
            return adapter
        device = device_of(self.settings.device)
        dtype = dtype_of(self.settings.torch_dtype, device)
        pipe = CinemoPipeline.from_pretrained(folder, dtype, device, codec)
        pipe.set_progress_bar_config(disable=True)
        if device.startswith("cuda"):
            # For what stays in float32, such as a VAE that overflows otherwise; noise and detail set their own.
            torch.set_float32_matmul_precision("high")
        if self.settings.compile_unet:
            pipe.unet.compile()
        # Reads the revision now, because the files may be deleted later.
        log.info("model loaded", model=reference, revision=pipe.revision, device=device)
        return pipe


def require_adapter(loaded: Loaded) -> Adapter:
    """Raise `CheckpointError` unless this is an adapter."""
    if not isinstance(loaded, Adapter):
        raise CheckpointError(f"{loaded.card.name} is a full model, not an adapter")
    return loaded
