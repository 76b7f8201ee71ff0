"""Object storage: one interface, S3 or a folder behind it, asked again while it fails."""

from collections.abc import Callable
from pathlib import Path

from service.contract.settings import Settings
from service.storage.base import ObjectStore, StoredObject
from service.storage.local import LocalStore
from service.storage.retry_policy import PatientStore, RetryPolicy
from service.storage.s3 import S3Store

__all__ = [
    "LocalStore",
    "ObjectStore",
    "PatientStore",
    "S3Store",
    "StoredObject",
    "open_object_store",
    "open_request_storage",
    "open_worker_storage",
]

TRIES_OF_A_PART = 3


def open_request_storage(settings: Settings) -> PatientStore:
    """For the API: a client waits meanwhile, so it is a matter of seconds."""
    seconds = settings.request_storage_seconds
    store = open_object_store(settings, answer_seconds=seconds / 2, attempts=1)
    return PatientStore(store, RetryPolicy(retry_seconds=seconds / 2, limit_seconds=seconds))


def open_worker_storage(settings: Settings, interrupt: Callable[[], None]) -> PatientStore:
    """For the workers: a model's work is at stake, so it may take minutes; `interrupt` raises where work is to stop."""
    store = open_object_store(settings, settings.storage_answer_seconds, TRIES_OF_A_PART)
    return PatientStore(store, RetryPolicy(settings.storage_retry_seconds), interrupt)


def open_object_store(settings: Settings, answer_seconds: float = 30, attempts: int = 1) -> ObjectStore:
    """The storage that the settings name; boto3 attempts each call so often, and so long without an answer."""
    scheme, _, place = settings.storage_url.partition("://")
    if scheme == "s3":
        secret, token = settings.s3_secret_access_key, settings.s3_session_token
        bucket, _, prefix = place.partition("/")
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
            answer_seconds=answer_seconds,
            attempts=attempts,
        )
    key = settings.url_signing_key
    signing_key = key.get_secret_value() if key else ""
    return LocalStore(Path(place), settings.public_base_url, signing_key, settings.storage_least_free_bytes)
