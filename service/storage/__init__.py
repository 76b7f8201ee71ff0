"""Object storage: one interface, S3 or a folder behind it."""

from pathlib import Path

from service.settings import Settings
from service.storage.base import ObjectStore, StoredObject
from service.storage.local import LocalStore
from service.storage.s3 import S3Store

__all__ = ["LocalStore", "ObjectStore", "S3Store", "StoredObject", "open_object_store"]


def open_object_store(settings: Settings) -> ObjectStore:
    """The storage that the settings name."""
    scheme, _, place = settings.storage_url.partition("://")
    if scheme == "s3":
        secret = settings.s3_secret_access_key
        return S3Store(
            bucket=place,
            endpoint_url=settings.s3_endpoint_url,
            region=settings.s3_region,
            access_key_id=settings.s3_access_key_id,
            secret_access_key=secret.get_secret_value() if secret else None,
        )
    key = settings.url_signing_key
    return LocalStore(Path(place), settings.public_base_url, key.get_secret_value() if key else "")
