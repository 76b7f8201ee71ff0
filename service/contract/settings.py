"""All settings of the service and its workers: environment variables with the prefix `CINEMO_`.

A file in the folder `CINEMO_SECRETS_FOLDER`, named like a variable in lower case, replaces the variable.
"""

import base64
import os
import re
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SecretsSettingsSource, SettingsConfigDict

from cinemo_spec.parameters import Guidance, Steps
from service.contract.redis_urls import parse, parse_broker
from service.observability.logs import LogFormat, LogLevel

MEBIBYTE = 1024 * 1024
NOT_HTTP = "must be a URL such as https://example.com or http://host:9000/path, without a user name or query"


def require_redis_url(url: str) -> str:
    """Raise `ValueError` unless it is a Redis URL, and the files that it names exist."""
    if missing := parse(url).missing_files:
        raise ValueError("; ".join(missing))
    return url


def require_origin(origin: str) -> str:
    """Raise `ValueError` unless it is an origin as browsers write it, or `*`."""
    parts = urlsplit(origin)
    if origin != "*" and (not parts.hostname or origin != f"{parts.scheme}://{parts.netloc}".lower()):
        raise ValueError(f"{origin!r} is not an origin such as https://studio.example.com, without a path")
    return origin


def require_http_url(url: str) -> str:
    """Raise `ValueError` unless it is the URL of a server, possibly with a path."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise ValueError(NOT_HTTP) from None
    valid_host = parts.hostname and not re.search(r"[^!-~]", url) and parts.username is None
    if parts.scheme not in ("http", "https") or not valid_host or "?" in url or "#" in url:
        raise ValueError(NOT_HTTP)
    return url


RedisUrl = Annotated[str, AfterValidator(require_redis_url)]
HttpUrl = Annotated[str, AfterValidator(require_http_url)]


Marking = Literal["off", "metadata", "signed", "required"]


class SecretFiles(SecretsSettingsSource):
    """Settings from files; an empty one counts as missing, like an empty variable."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        value, key, is_complex = super().get_field_value(field, field_name)
        return value or None, key, is_complex


class Settings(BaseSettings):
    """Read once at startup; an invalid value ends the process and names the setting."""

    # Inputs are hidden because an invalid value may be a secret in the wrong place.
    model_config = SettingsConfigDict(
        env_prefix="CINEMO_", extra="ignore", frozen=True, hide_input_in_errors=True, env_ignore_empty=True
    )

    redis_url: RedisUrl = Field(
        "redis://127.0.0.1:6379/0",
        description="Redis for job records: a single server, Sentinel or a cluster; see docs/operations.md.",
    )
    broker_url: RedisUrl | None = Field(
        None, description="Redis for the queue; required if job records are in a cluster."
    )
    redis_durability: Literal["required", "any"] = Field(
        "required", description="`any` also accepts a Redis that can lose accepted jobs; at your own risk."
    )
    storage_url: str = Field(
        "file://./var/storage",
        pattern=r"^(file://.+|s3://[a-z0-9][a-z0-9.-]+(/[A-Za-z0-9!_.*'()-]+)*/?)$",
        description="Storage for inputs and videos: `file:///folder`, `s3://bucket` or `s3://bucket/prefix`.",
    )
    s3_endpoint_url: HttpUrl | None = Field(None, description="URL of an S3-compatible server; unset for AWS.")
    s3_public_endpoint_url: HttpUrl | None = Field(
        None, description="URL at which clients reach that server, if different; used in presigned URLs."
    )
    s3_region: str = Field(
        "us-east-1", pattern=r"^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$", description="Region of the bucket."
    )
    s3_access_key_id: str | None = Field(None, description="Access key; unset to use the machine's role.")
    s3_secret_access_key: SecretStr | None = Field(None, description="Secret of the access key.")
    s3_session_token: SecretStr | None = Field(None, description="Session token of temporary credentials.")
    s3_addressing_style: Literal["path", "virtual"] = Field(
        "path",
        description="Whether URLs contain the bucket in the path, or in the host name, as some servers require.",
    )
    storage_timeout_seconds: float = Field(
        30,
        ge=0.1,
        description="How long a worker waits for a response from the storage before the attempt fails.",
    )
    storage_retry_seconds: float = Field(
        300, ge=0, description="How long a worker retries a failing storage before its job fails."
    )
    storage_min_free_bytes: int = Field(
        128 * MEBIBYTE, ge=0, description="Free space of `file://` storage below which an API is not ready."
    )
    request_storage_seconds: float = Field(
        10, ge=0.1, description="How long a request waits for the storage, including retries, before it gets a 503."
    )
    request_redis_seconds: float = Field(
        2, gt=0, description="How long a request waits for Redis before it gets a 503."
    )
    request_grace_seconds: int = Field(
        15, ge=0, description="Time for requests to finish when the API is told to stop; give containers more."
    )
    drain_seconds: float = Field(
        1,
        ge=0,
        description="How long a stopping API still accepts requests, while its `/readyz` turns load balancers away.",
    )
    auth: Literal["keys", "off"] = Field("keys", description="`off` disables authentication; only for development.")
    trusted_origins: tuple[Annotated[str, AfterValidator(require_origin)], ...] = Field(
        (),
        description="With `CINEMO_AUTH=off`: other pages that browsers may call the service from, and host names of "
        'the service: `["https://studio.example.com"]`; `["*"]` for any.',
    )
    cors_origins: tuple[Annotated[str, AfterValidator(require_origin)], ...] = Field(
        (),
        description='Origins of pages that may call the API from a browser (CORS): `["https://studio.example.com"]`; '
        '`["*"]` for any.',
    )
    playground: bool = Field(True, description="Whether to serve the playground at `/`; see docs/playground.md.")
    public_base_url: HttpUrl = Field(
        "http://127.0.0.1:8000",
        description="URL at which clients reach this API, including a proxy's path; base of all links.",
    )
    url_signing_key: SecretStr | None = Field(None, description="Signs download URLs of `file://` storage.")
    signed_url_seconds: int = Field(3600, ge=1, le=604_800, description="Lifetime of a download URL.")

    keep_alive_seconds: int = Field(
        75, ge=1, description="Keep-alive time of connections; must be longer than the load balancer's."
    )
    max_connections: int = Field(
        1000,
        ge=1,
        description="Maximum connections per API process; above that, those that have waited longest are closed. A "
        "tenant's requests in progress may take half of them; above that, 429.",
    )
    max_head_bytes: int = Field(32 * 1024, ge=1024, description="Maximum size of the request line and headers.")
    max_head_fields: int = Field(100, ge=10, description="Maximum number of request headers.")
    max_head_seconds: float = Field(10, gt=0, description="Time limit for sending the request line and headers.")
    max_unread_seconds: float = Field(
        60, gt=0, description="How long a client may stop reading its response before it is disconnected."
    )
    max_unread_bytes: int = Field(
        128 * MEBIBYTE,
        ge=1,
        description="Total size of the responses that an API process holds for clients that don't read them; above "
        "that, those that have stopped reading first are disconnected.",
    )
    max_image_bytes: int = Field(16 * MEBIBYTE, ge=1, description="Maximum file size of a picture.")
    max_image_pixels: int = Field(25_000_000, ge=1, description="Maximum width times height of a picture.")
    max_image_side: int = Field(8192, ge=1, description="Maximum side length of a picture, in pixels.")
    max_image_scans: int = Field(
        50,
        ge=1,
        description="Maximum scans of a progressive JPEG, each of which costs CPU time; encoders write about ten.",
    )
    max_video_bytes: int = Field(64 * MEBIBYTE, ge=1, description="Maximum file size of an edit's source video.")
    max_video_pixels: int = Field(
        9_000_000, ge=1, description="Maximum width times height of a frame in source videos and datasets."
    )
    media_memory_bytes: int = Field(
        768 * MEBIBYTE, ge=32 * MEBIBYTE, description="Memory limit for decoding a video, in a separate process."
    )
    media_seconds: float = Field(60, gt=0, description="CPU time limit for decoding a video or a clip of one.")
    max_bodies_bytes: int = Field(
        256 * MEBIBYTE,
        ge=1,
        description="Total size of request bodies that an API process holds at once; requests above it get a 503.",
    )
    max_body_seconds: float = Field(60, gt=0, description="Time limit for sending the request body.")
    max_waiting_calls: int = Field(
        128,
        ge=1,
        description="Maximum open event streams and long polls per tenant and API process; above that, 429.",
    )
    max_decoding_bytes: int = Field(
        384 * MEBIBYTE, ge=1, description="Memory for pictures that an API process decodes at once; others wait."
    )
    max_fetches: int = Field(
        16,
        ge=2,
        description="Pictures that an API process fetches from URLs and uploads at once; at most half for one tenant.",
    )
    max_storing: int = Field(
        24, ge=2, description="Requests whose input an API process stores at once; at most half for one tenant."
    )
    max_slot_wait_seconds: float = Field(
        20, gt=0, description="How long a request waits for one of these three before it gets a 503."
    )
    max_frames: int = Field(128, ge=8, description="Maximum frames per job, across all clips.")
    max_output_pixels: int = Field(1920 * 1080, ge=256, description="Maximum width times height of a video.")
    max_model_pixels: int = Field(
        1024 * 1024, ge=256, description="Maximum width times height of a video with `detail` `off`."
    )
    max_total_pixels: int = Field(
        512 * 1024 * 1024, ge=256, description="Maximum width times height times frames of a video."
    )
    marking: Marking = Field(
        "metadata",
        description="How videos and posters state that AI made them: in their `metadata`, also `signed`, or `required` "
        "to be signed, or jobs fail; `off` for not at all. See docs/marking.md.",
    )
    watermark_id: str | None = Field(
        None,
        pattern="^[0-9a-f]{8}$",
        description="Eight hexadecimal digits to hide in the pixels of videos and posters, by which `cinemo verify` "
        "knows this service's; if unset, there is no watermark. See docs/marking.md.",
    )
    signing_certificate: str | None = Field(
        None, description="Signing certificate chain in PEM, the signer's first; reread before each job."
    )
    signing_key: SecretStr | None = Field(
        None, description="Its private key in PEM, without a password; reread before each job."
    )
    signing_command: str | None = Field(
        None,
        description="Instead of the key, a command that reads bytes on stdin and writes their signature to stdout.",
    )
    signing_include_prompt: bool = Field(False, description="Whether signed credentials contain the prompt.")
    signing_include_photo: bool = Field(
        False, description="Whether signed credentials contain a small picture of the photo, besides its SHA-256."
    )
    policy_url: str | None = Field(
        None,
        pattern=r"^https?://[!-~]+$",
        description="URL of a policy that is asked before a job is queued, with its photo and prompt. See "
        "docs/howto/policy.md.",
    )
    policy_secret: SecretStr | None = Field(
        None, description="Signs those requests, as `whsec_…`; several, separated by spaces, while it is replaced."
    )
    policy_callable: str | None = Field(
        None,
        pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$",
        description="Instead of the URL, a Python function that API and workers import: `package.module:function`.",
    )
    policy_results: bool = Field(False, description="Whether the policy is also asked before a video is delivered.")
    policy_timeout_seconds: float = Field(5, gt=0, le=60, description="How long the policy may take to answer.")
    policy_unavailable: Literal["refuse", "allow"] = Field(
        "refuse", description="What applies if the policy gives no answer that can be used."
    )
    policy_breaker_failures: int = Field(
        5, ge=1, description="Failures in a row after which the policy isn't asked for a while."
    )
    policy_breaker_seconds: float = Field(10, gt=0, description="For how long; then one request at a time tries again.")
    audit_days: int = Field(365, ge=1, le=3650, description="How long the policy's decisions are kept in Redis.")
    upload_seconds: int = Field(86_400, ge=60, description="Lifetime of an upload.")
    max_num_inference_steps: Steps = Field(200, description="Maximum denoising steps per job.")
    outbound_user_agent: str = Field(
        "Cinemo",
        # Header values have no surrounding spaces.
        pattern=r"^[!-~]([ -~]*[!-~])?$",
        description="User agent for fetching pictures and sending webhooks; many servers expect a contact: `Cinemo "
        "(+https://example.com/contact)`.",
    )
    outbound_allowed_networks: tuple[IPv4Network | IPv6Network, ...] = Field(
        (), description='Networks that client URLs may reach in addition to the public internet: `["10.1.0.0/16"]`.'
    )
    job_retention_seconds: int = Field(7 * 86_400, ge=60, description="How long the record of an ended job is kept.")
    output_retention_seconds: int = Field(
        3 * 86_400, ge=60, description="How long the files of an ended job are kept; at most as long as its record."
    )
    tenant_max_records: int = Field(
        30_000, ge=1, description="Maximum job records per tenant, including ended jobs; above that, 429."
    )
    tenant_max_record_bytes: int = Field(
        256 * MEBIBYTE, ge=1, description="Maximum bytes of Redis for those records; above that, 429."
    )
    tenant_max_stored_bytes: int = Field(
        50 * 1024 * MEBIBYTE,
        ge=1,
        description="Maximum bytes of a tenant's inputs, outputs, uploads, models and training states in storage.",
    )
    device_prices: dict[str, Annotated[float, Field(ge=0, le=1e6)]] = Field(
        {},
        description="Price of a second on a device, by kind of job or by model, whose price takes precedence: "
        '`{"animate": 0.0004, "train": 0.001, "waves": 0.002}`; others are free. See docs/howto/usage.md.',
    )
    currency: str = Field("USD", pattern="^[A-Z]{3}$", description="Currency of these prices, as an ISO 4217 code.")
    tenant_monthly_device_seconds: int | None = Field(
        None,
        ge=0,
        description="Seconds on a device that a tenant may use per month; above that, 429.",
    )
    tenant_monthly_cost: float | None = Field(
        None, ge=0, description="What a tenant's device time may cost per month; above that, 429."
    )
    lease_seconds: float = Field(20, ge=1, description="How long a worker may be silent before it loses its job.")
    webhook_concurrency: int = Field(
        256,
        ge=1,
        le=1000,
        description="Maximum concurrent webhooks per sender; at most half for one tenant, and four per receiver.",
    )
    webhook_concurrency_per_host: int = Field(
        16, ge=1, description="Maximum of those to one host of a tenant, whatever the path and port."
    )
    redis_retry_seconds: float = Field(
        600, ge=0, description="How long a worker retries reporting a job's result while Redis is unavailable."
    )
    shutdown_grace_seconds: float = Field(
        30,
        ge=0,
        description="How long a running job continues after its worker was told to stop, before it is requeued.",
    )
    training_grace_seconds: float = Field(
        120,
        ge=0,
        description="Time for a training job to save its state and return to the queue; give containers more.",
    )
    job_timeout_seconds: float = Field(3600, gt=0, description="Time limit for an attempt of an animate or edit job.")
    training_timeout_seconds: float = Field(
        14 * 86_400, gt=0, description="Time limit for an attempt of a training job."
    )
    stuck_seconds: float = Field(
        30, gt=0, description="How long after its time limit a job counts as stuck, and its worker process is ended."
    )
    max_losses: int = Field(3, ge=1, description="Number of consecutive lost workers after which a job fails.")

    log_level: LogLevel = Field("info", description="Minimum log level; `debug` includes health checks.")
    log_format: LogFormat = Field("auto", description="`auto` is JSON unless stderr is a terminal.")

    model: str = Field("tiny", description="`tiny`, a checkpoint folder or a Hub repository.")
    default_num_inference_steps: Steps | None = Field(
        None, description="Default denoising steps; if unset, from the model card."
    )
    default_guidance_scale: Guidance | None = Field(
        None, description="Default guidance scale; if unset, from the model card."
    )
    codec: Literal["auto", "vae", "vae_temporal_decoder"] = Field(
        "auto", description="Which VAE of `CINEMO_MODEL` to use if it has two; `auto` prefers the temporal decoder."
    )
    compile_unet: bool = Field(
        False,
        description="Whether to compile the UNet with PyTorch: faster steps, but the first of each size takes minutes.",
    )
    device: str = Field(
        "auto",
        pattern=r"^(auto|cpu|cuda(:\d+)?)$",
        description="Device that runs the model: `auto`, `cpu`, `cuda`, `cuda:1`, …",
    )
    model_cache_bytes: int = Field(
        8 * 1024 * MEBIBYTE,
        ge=0,
        description="Size of the published models and adapters that a worker keeps loaded, by their files, besides "
        "`CINEMO_MODEL` and the built-in ones; a single one may be larger.",
    )
    work_folder: str = Field("./var/work", description="Folder for workers' temporary files.")
    worker_max_rss_bytes: int | None = Field(
        None, ge=1, description="Memory above which a worker exits after a job, to be restarted; unset for no limit."
    )
    max_data_workers: int = Field(
        4,
        ge=0,
        le=64,
        description="Maximum `data.workers` of a training job: decoding processes per training process.",
    )
    training_processes: int = Field(1, ge=1, description="Number of processes per training job, usually one per GPU.")
    torch_dtype: str = Field(
        "auto",
        pattern="^(auto|float32|float16|bfloat16)$",
        description="Number type of the model; `auto` is float16 on a GPU, which is closer to float32 than bfloat16.",
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Prefer the environment to the files."""
        folder = os.environ.get("CINEMO_SECRETS_FOLDER")
        return init_settings, env_settings, SecretFiles(settings_cls, secrets_dir=folder)

    @property
    def signs(self) -> bool:
        """Whether videos are to be signed."""
        return self.marking in ("signed", "required")

    @property
    def broker(self) -> str:
        """URL of the Redis that holds the queue."""
        return self.broker_url or self.redis_url

    @model_validator(mode="after")
    def require_usable_broker(self) -> Self:
        """Celery doesn't support every kind of Redis that job records can use."""
        parse_broker(self.broker)
        return self

    @model_validator(mode="after")
    def require_signing_key(self) -> Self:
        """Files on disk are served by the API, which must recognize the URLs that it signed."""
        if self.storage_url.startswith("file://") and self.url_signing_key is None:
            raise ValueError("CINEMO_URL_SIGNING_KEY is required if CINEMO_STORAGE_URL is file://…")
        return self

    @model_validator(mode="after")
    def require_whole_credentials(self) -> Self:
        """An access key has a secret; only temporary ones have a session token, too."""
        if not self.storage_url.startswith("s3://"):
            return self
        if (self.s3_access_key_id is None) != (self.s3_secret_access_key is None):
            raise ValueError("CINEMO_S3_ACCESS_KEY_ID and CINEMO_S3_SECRET_ACCESS_KEY need each other")
        if self.s3_session_token is not None and self.s3_access_key_id is None:
            raise ValueError("CINEMO_S3_SESSION_TOKEN needs CINEMO_S3_ACCESS_KEY_ID")
        return self

    @model_validator(mode="after")
    def require_one_policy(self) -> Self:
        """A policy is a URL, whose requests are signed, or a callable."""
        if self.policy_url and self.policy_callable:
            raise ValueError("CINEMO_POLICY_URL and CINEMO_POLICY_CALLABLE exclude each other")
        if self.policy_url and not self.policy_secret:
            raise ValueError("CINEMO_POLICY_SECRET is required with CINEMO_POLICY_URL")
        return self

    @field_validator("policy_secret")
    @classmethod
    def require_webhook_secrets(cls, secrets: SecretStr | None) -> SecretStr | None:
        """They are secrets of Standard Webhooks: `whsec_` and 24 to 64 bytes in base64."""
        for secret in secrets.get_secret_value().split() or [""] if secrets else []:
            encoded = secret.removeprefix("whsec_")
            if encoded == secret or not 24 <= len(base64.b64decode(encoded, validate=True)) <= 64:
                raise ValueError("must be whsec_ followed by 24 to 64 random bytes in base64")
        return secrets
