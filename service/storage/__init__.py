"""Object storage: one interface over S3 or a folder, with retries."""

from collections.abc import Callable
from pathlib import Path

from service.contract.settings import Settings
from service.storage.base import ObjectStore, StoredObject, store_bytes, stored_object
from service.storage.local import LocalStore
from service.storage.retry_policy import RetryingStore, RetryPolicy
from service.storage.s3 import S3Store

__all__ = [
    "LocalStore",
    "ObjectStore",
    "RetryingStore",
    "S3Store",
    "StoredObject",
    "open_object_store",
    "open_request_storage",
    "open_worker_storage",
    "store_bytes",
    "stored_object",
]

WORKER_ATTEMPTS = 3


def open_request_storage(settings: Settings) -> RetryingStore:
    """Storage for the API, which gives up within seconds, because a client is waiting."""
    seconds = settings.request_storage_seconds
    store = open_object_store(settings, timeout_seconds=seconds / 2, attempts=1)
    return RetryingStore(store, RetryPolicy(retry_seconds=seconds / 2, limit_seconds=seconds))


def open_worker_storage(settings: Settings, interrupt: Callable[[], None]) -> RetryingStore:
    """Storage for workers, which retries for minutes, to save a model's work; `interrupt` raises to stop it."""
    store = open_object_store(settings, settings.storage_timeout_seconds, WORKER_ATTEMPTS)
    return RetryingStore(store, RetryPolicy(settings.storage_retry_seconds), interrupt)


def open_object_store(settings: Settings, timeout_seconds: float = 30, attempts: int = 1) -> ObjectStore:
    """The storage in the settings; boto3 waits `timeout_seconds` for a response and makes `attempts` for each call."""
    scheme, _, location = settings.storage_url.partition("://")
    if scheme == "s3":
        secret, token = settings.s3_secret_access_key, settings.s3_session_token
        bucket, _, prefix = location.partition("/")
        return S3Store(
            bucket=bucket,
            prefix=prefix,
            addressing=settings.s3_addressing_style,
            session_token=token.get_secret_value() if token else None,
            endpoint_url=settings.s3_endpoint_url,
            public_endpoint_url=settings.s3_public_endpoint_url,
            region=settings.s3_region,
            access_key_id=settings.s3_access_key_id,
            secret_access_key=secret.get_secret_value() if secret else None,
            timeout_seconds=timeout_seconds,
            attempts=attempts,
        )
    key = settings.url_signing_key
    signing_key = key.get_secret_value() if key else ""
    return LocalStore(Path(location), settings.public_base_url, signing_key, settings.storage_min_free_bytes)
