"""Makes the bucket, and has the receiver told of all jobs of the default tenant; may be run again and again."""

import argparse
from pathlib import Path

import boto3
import structlog
from botocore.exceptions import ClientError

from deploy.compose.credentials import write
from service.contract.record import DEFAULT_TENANT
from service.contract.settings import Settings
from service.observability.logs import configure_logs
from service.storage import open_worker_storage
from service.storage.s3 import client_config
from service.store.connections import connect
from service.webhooks.endpoints import EndpointStore

SECRET = "webhook_secret"
THERE = ("BucketAlreadyOwnedByYou", "BucketAlreadyExists")

log = structlog.get_logger()


def main() -> None:
    """Prepare the parts that the settings name."""
    parser = argparse.ArgumentParser(description="Prepare the bucket and the webhook receiver.")
    parser.add_argument("--receiver", required=True, help="URL that receives job events.")
    parser.add_argument("--folder", type=Path, required=True, help="Where the receiver reads its secret.")
    arguments = parser.parse_args()
    settings = Settings()
    configure_logs(settings.log_level, settings.log_format)
    make_bucket(settings)
    tell(EndpointStore(connect(settings.redis_url)), arguments.receiver, arguments.folder)


def make_bucket(settings: Settings) -> None:
    """Make the bucket, and wait until it takes objects."""
    bucket = settings.storage_url.partition("://")[2]
    secret = settings.s3_secret_access_key
    client = boto3.client(
        "s3",
        endpoint_url=settings.s3_endpoint_url,
        region_name=settings.s3_region,
        aws_access_key_id=settings.s3_access_key_id,
        aws_secret_access_key=secret.get_secret_value() if secret else None,
        config=client_config(answer_seconds=10, attempts=10),
    )
    try:
        client.create_bucket(Bucket=bucket)
        log.info("bucket made", bucket=bucket)
    except ClientError as error:
        if error.response["Error"]["Code"] not in THERE:
            raise
        log.info("bucket found", bucket=bucket)
    open_worker_storage(settings, lambda: None).put_bytes("prepared", b"", "text/plain")


def tell(endpoints: EndpointStore, url: str, folder: Path) -> None:
    """Add the endpoint unless it is there, and write down what its webhooks are signed with."""
    if url not in {each.url for each in endpoints.of_tenant(DEFAULT_TENANT)}:
        endpoints.add(DEFAULT_TENANT, url)
        log.info("endpoint added", url=url)
    write(folder / SECRET, endpoints.secrets(DEFAULT_TENANT)[0], mode=0o440)


if __name__ == "__main__":
    main()
