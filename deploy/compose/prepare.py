"""Creates the bucket and an endpoint that gets the webhooks of all the default tenant's jobs; idempotent."""

from pathlib import Path
from typing import Annotated

import boto3
import structlog
import typer
from botocore.exceptions import ClientError

from deploy.compose.credentials import write
from service.contract.environment import require_settings
from service.contract.record import DEFAULT_TENANT
from service.contract.settings import Settings
from service.observability.logs import configure_logs
from service.storage import open_worker_storage
from service.storage.s3 import client_config
from service.store.connections import connect
from service.webhooks.endpoints import EndpointStore

SECRET = "webhook_secret"
BUCKET_EXISTS = ("BucketAlreadyOwnedByYou", "BucketAlreadyExists")

log = structlog.get_logger()


def prepare(
    receiver: Annotated[str, typer.Option(help="URL that receives webhooks.")],
    folder: Annotated[Path, typer.Option(help="Folder from which the receiver reads its secret.")],
) -> None:
    """Create the bucket and the receiver's endpoint."""
    settings = require_settings()
    configure_logs(settings.log_level, settings.log_format)
    create_bucket(settings)
    add_endpoint(EndpointStore(connect(settings.redis_url)), receiver, folder)


def create_bucket(settings: Settings) -> None:
    """Create the bucket unless it exists, and wait until it accepts objects."""
    bucket = settings.storage_url.partition("://")[2]
    secret = settings.s3_secret_access_key
    client = boto3.client(
        "s3",
        endpoint_url=settings.s3_endpoint_url,
        region_name=settings.s3_region,
        aws_access_key_id=settings.s3_access_key_id,
        aws_secret_access_key=secret.get_secret_value() if secret else None,
        config=client_config(timeout_seconds=10, attempts=10),
    )
    try:
        client.create_bucket(Bucket=bucket)
        log.info("bucket created", bucket=bucket)
    except ClientError as error:
        if error.response["Error"]["Code"] not in BUCKET_EXISTS:
            raise
        log.info("bucket exists", bucket=bucket)
    open_worker_storage(settings, lambda: None).put_bytes("prepared", b"", "text/plain")


def add_endpoint(endpoints: EndpointStore, url: str, folder: Path) -> None:
    """Add the endpoint unless it exists, and write its signing secret."""
    if url not in {each.url for each in endpoints.of_tenant(DEFAULT_TENANT)}:
        endpoints.add(DEFAULT_TENANT, url)
        log.info("endpoint added", url=url)
    write(folder / SECRET, endpoints.secrets(DEFAULT_TENANT)[0], mode=0o440)


if __name__ == "__main__":
    typer.run(prepare)
