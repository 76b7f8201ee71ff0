"""A dataset in the storage, for the training library. Picklable: each process opens the storage itself."""

from dataclasses import dataclass

from cinemo_core import InvalidVideo
from service.contract.problems import ObjectNotFound
from worker.dependencies import object_store


@dataclass(frozen=True)
class StoredFiles:
    """The objects below a prefix, which ends with a slash."""

    prefix: str

    def sizes(self) -> dict[str, int]:
        """The size of each object in bytes, by its name below the prefix."""
        return {key.removeprefix(self.prefix): size for key, size in object_store().list(self.prefix).items()}

    def read(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        """Read an object; raises `InvalidVideo` if it has been deleted meanwhile."""
        try:
            return object_store().get_bytes(self.prefix + name, start, length)
        except ObjectNotFound as error:
            raise InvalidVideo(f"{name} is no longer stored") from error
