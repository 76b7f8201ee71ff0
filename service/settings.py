"""Every setting of the service and its workers: environment variables with the prefix `CINEMO_`.

Where `CINEMO_SECRETS_FOLDER` names a folder, a file in it with a variable's name in lower case stands for the variable.
"""

import os
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SecretsSettingsSource, SettingsConfigDict

from service.connections import broker
from service.logs import LogFormat, LogLevel
from service.redis_urls import parse

MEBIBYTE = 1024 * 1024


def require_redis_url(url: str) -> str:
    """Refuse what is no URL of Redis."""
    parse(url)
    return url


def require_origin(origin: str) -> str:
    """Refuse what is neither an origin, as browsers write it, nor all of them."""
    parts = urlsplit(origin)
    if origin != "*" and (not parts.hostname or origin != f"{parts.scheme}://{parts.netloc}".lower()):
        raise ValueError(f"{origin!r} is no origin: https://studio.example.com, without a path")
    return origin


RedisUrl = Annotated[str, AfterValidator(require_redis_url)]


class SecretFiles(SecretsSettingsSource):
    """Files that stand for variables; one that is empty is as if it were not there, as with variables."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        value, key, is_complex = super().get_field_value(field, field_name)
        return value or None, key, is_complex


class Settings(BaseSettings):
    """Read once at start; a wrong value stops the process with the setting's name."""

    # A wrong value may be a secret in the wrong place.
    model_config = SettingsConfigDict(
        env_prefix="CINEMO_", extra="ignore", frozen=True, hide_input_in_errors=True, env_ignore_empty=True
    )

    redis_url: RedisUrl = Field(
        "redis://127.0.0.1:6379/0",
        description="Job records: one server, Sentinel or a cluster; see docs/operations.md.",
    )
    broker_url: RedisUrl | None = Field(None, description="Redis of the queue, where job records are in a cluster.")
    redis_durability: Literal["required", "any"] = Field(
        "required", description="`any` also takes a Redis that may lose accepted jobs; at your own risk."
    )
    storage_url: str = Field(
        "file://./var/storage",
        pattern=r"^(file://.+|s3://[a-z0-9][a-z0-9.-]+(/[A-Za-z0-9!_.*'()-]+)*/?)$",
        description="Where inputs and videos are kept: `file:///folder`, `s3://bucket` or `s3://bucket/prefix`.",
    )
    s3_endpoint_url: str | None = Field(None, description="Of an S3-compatible server; none for AWS itself.")
    s3_public_endpoint_url: str | None = Field(
        None, description="Where clients reach that server, if elsewhere; presigned URLs lead there."
    )
    s3_region: str = Field("us-east-1", description="Region of the bucket.")
    s3_access_key_id: str | None = Field(None, description="Access key; none to use the machine's own role.")
    s3_secret_access_key: SecretStr | None = Field(None, description="Secret of the access key.")
    s3_session_token: SecretStr | None = Field(None, description="Session token of temporary credentials.")
    s3_addressing_style: Literal["path", "virtual"] = Field(
        "path",
        description="Whether URLs name the bucket in their path, or in the name of the host, as some servers ask for.",
    )
    storage_answer_seconds: float = Field(
        30,
        ge=0.1,
        description="Seconds a worker waits for an answer of the storage before that try counts as failed.",
    )
    storage_retry_seconds: float = Field(
        300, ge=0, description="A worker tries a failing storage again for so long; then its job has failed."
    )
    storage_least_free_bytes: int = Field(
        128 * MEBIBYTE, ge=0, description="An API whose `file://` storage has less room left is not ready."
    )
    request_storage_seconds: float = Field(
        10, ge=0.1, description="Longest that a request waits for the storage, tries and all, before it gets a 503."
    )
    request_redis_seconds: float = Field(
        2, gt=0, description="Longest that a request waits for an answer of Redis before it gets a 503."
    )
    request_grace_seconds: int = Field(
        15, ge=0, description="What requests get to end when the API is told to stop; containers must get more."
    )
    drain_seconds: float = Field(
        1,
        ge=0,
        description="An API that is told to stop takes requests for so long, while its `/readyz` turns balancers away.",
    )
    auth: Literal["keys", "off"] = Field("keys", description="`off` lets anybody in, for development alone.")
    trusted_origins: tuple[Annotated[str, AfterValidator(require_origin)], ...] = Field(
        (),
        description="Where `CINEMO_AUTH` is `off`: pages that browsers may call the service from beside its own, and "
        'names that it goes by: `["https://studio.example.com"]`; `["*"]` for any.',
    )
    cors_origins: tuple[Annotated[str, AfterValidator(require_origin)], ...] = Field(
        (),
        description="Pages of other origins that may call the API from a browser (CORS): "
        '`["https://studio.example.com"]`; `["*"]` for any.',
    )
    playground: bool = Field(
        True, description="Whether `/` is a page to try the service by hand; see docs/playground.md."
    )
    public_base_url: str = Field(
        "http://127.0.0.1:8000",
        description="How clients reach this API, with the path of a proxy: all links lead there.",
    )
    url_signing_key: SecretStr | None = Field(None, description="Signs download URLs of `file://` storage.")
    signed_url_seconds: int = Field(3600, ge=1, le=604_800, description="Life of a download URL.")

    keep_alive_seconds: int = Field(
        75, ge=1, description="How long a connection is kept for its next request: longer than balancers keep theirs."
    )
    max_connections: int = Field(
        1000, ge=1, description="Connections of an API process; beyond, those that have waited longest are closed."
    )
    max_head_bytes: int = Field(32 * 1024, ge=1024, description="Longest head of a request: its line and its headers.")
    max_head_fields: int = Field(100, ge=10, description="Most headers of a request.")
    max_head_seconds: float = Field(
        10, gt=0, description="A client that takes longer to send the head of a request is cut off."
    )
    max_unread_seconds: float = Field(
        60, gt=0, description="A client that takes nothing of its answer for so long is cut off."
    )
    max_image_bytes: int = Field(16 * MEBIBYTE, ge=1, description="Largest picture that is sent.")
    max_image_pixels: int = Field(25_000_000, ge=1, description="Largest picture, width times height.")
    max_image_side: int = Field(8192, ge=1, description="Longest side of a picture, in pixels.")
    max_image_scans: int = Field(
        50, ge=1, description="Most scans of a progressive JPEG, each of which is work; encoders write some ten."
    )
    max_video_bytes: int = Field(64 * MEBIBYTE, ge=1, description="Largest source video of an edit.")
    max_video_pixels: int = Field(9_000_000, ge=1, description="Largest frame of a video, of an edit or a dataset.")
    media_memory_bytes: int = Field(
        768 * MEBIBYTE, ge=32 * MEBIBYTE, description="Memory that decoding a video may take, in a process of its own."
    )
    media_seconds: float = Field(
        60, gt=0, description="Seconds of a processor that decoding a video, or a clip of one, may take."
    )
    max_bodies_bytes: int = Field(
        256 * MEBIBYTE, ge=1, description="Bodies that an API process holds at a time; what comes beyond gets a 503."
    )
    max_body_seconds: float = Field(60, gt=0, description="A client that takes longer to send its body is cut off.")
    max_waiting_calls: int = Field(
        128,
        ge=1,
        description="Event streams and long polls that a tenant has open at an API process; beyond, it gets a 429.",
    )
    max_decoding_bytes: int = Field(
        384 * MEBIBYTE, ge=1, description="Memory for pictures that an API process decodes at a time; others wait."
    )
    max_fetches: int = Field(
        16,
        ge=2,
        description="Pictures from URLs and uploads that an API process gets at a time, half of them one tenant's.",
    )
    max_storing: int = Field(
        24, ge=2, description="Requests whose input an API process stores at a time, half of them one tenant's at most."
    )
    max_turn_seconds: float = Field(
        20, gt=0, description="A request that does not get its turn at one of these three in time gets a 503."
    )
    max_frames: int = Field(128, ge=8, description="Most frames that a job may ask for, over all its clips.")
    max_output_pixels: int = Field(1920 * 1080, ge=256, description="Largest video, width times height.")
    max_model_pixels: int = Field(
        1024 * 1024, ge=256, description="Largest video that the model makes by itself, with `detail` `off`."
    )
    max_total_pixels: int = Field(
        512 * 1024 * 1024, ge=256, description="Largest video over all of its frames: width times height times frames."
    )
    upload_seconds: int = Field(86_400, ge=60, description="How long an upload can be used.")
    max_num_inference_steps: int = Field(200, ge=1, le=500, description="Most denoising steps a job may ask for.")
    outbound_user_agent: str = Field(
        "Cinemo",
        pattern=r"^[ -~]+$",
        description="What servers of pictures and webhooks are told who calls; with a contact many ask for: "
        "`Cinemo (+https://example.com/contact)`.",
    )
    outbound_allowed_networks: tuple[IPv4Network | IPv6Network, ...] = Field(
        (), description='Networks that URLs of clients may lead to beside the public internet: `["10.1.0.0/16"]`.'
    )
    job_retention_seconds: int = Field(7 * 86_400, ge=60, description="How long an ended job's record is kept.")
    output_retention_seconds: int = Field(
        3 * 86_400, ge=60, description="How long an ended job's files are kept, at most as long as its record."
    )
    tenant_max_records: int = Field(
        30_000, ge=1, description="Jobs of a tenant whose records are kept, ended ones too; beyond, it gets a 429."
    )
    tenant_max_record_bytes: int = Field(
        256 * MEBIBYTE, ge=1, description="What those records may take of Redis, likewise, in bytes."
    )
    tenant_max_stored_bytes: int = Field(
        50 * 1024 * MEBIBYTE,
        ge=1,
        description="Bytes of a tenant's inputs, outputs, uploads, models and training states in the storage.",
    )
    lease_seconds: float = Field(20, ge=1, description="A worker that is silent for so long has lost its job.")
    webhooks_at_once: int = Field(
        256,
        ge=1,
        le=1000,
        description="Most webhooks a sender has in flight, of a tenant half at most; four to each receiver.",
    )
    webhooks_at_once_of_host: int = Field(
        16, ge=1, description="Most of them to one host of a tenant, whatever their paths and ports are."
    )
    redis_retry_seconds: float = Field(
        600, ge=0, description="A worker tells Redis what became of a job for so long while it does not answer."
    )
    shutdown_grace_seconds: float = Field(
        30, ge=0, description="A job that runs goes on for so long after its worker was told to stop; then another's."
    )
    training_grace_seconds: float = Field(
        120, ge=0, description="What a training gets to save its state and hand itself back; containers must get more."
    )
    job_timeout_seconds: float = Field(3600, gt=0, description="Longest attempt at a job that animates or edits.")
    training_timeout_seconds: float = Field(14 * 86_400, gt=0, description="Longest attempt at a training.")
    stuck_seconds: float = Field(
        30, gt=0, description="A job that has not ended so long after its time is stuck: its worker process is ended."
    )
    max_losses: int = Field(3, ge=1, description="A job that so many workers in a row have lost ends as failed.")

    log_level: LogLevel = Field("info", description="What is logged at least; `debug` also tells of health checks.")
    log_format: LogFormat = Field("auto", description="`auto` is JSON unless stderr is a terminal.")

    model: str = Field("tiny", description="`tiny`, a checkpoint's folder or a hub repository.")
    default_num_inference_steps: int | None = Field(
        None, ge=1, le=500, description="Steps where a job asks for none; of its model's card if not set."
    )
    default_guidance_scale: float | None = Field(
        None, ge=1, le=30, description="Guidance where a job asks for none; of its model's card if not set."
    )
    codec: Literal["auto", "vae", "vae_temporal_decoder"] = Field(
        "auto", description="Which VAE of `CINEMO_MODEL`, where it has two; `auto` takes the temporal decoder."
    )
    compile_unet: bool = Field(
        False, description="Whether PyTorch compiles the UNet: steps are faster, the first of each size takes minutes."
    )
    device: str = Field("auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$", description="Where the model runs.")
    model_cache_bytes: int = Field(
        8 * 1024 * MEBIBYTE, ge=0, description="Published models that a worker keeps loaded; one may be larger."
    )
    work_folder: str = Field("./var/work", description="Where workers keep files for as long as they need them.")
    worker_max_rss_bytes: int | None = Field(
        None, ge=1, description="A worker that holds more memory after a job ends, to be started again; none for any."
    )
    max_data_workers: int = Field(
        4,
        ge=0,
        le=64,
        description="Most `data.workers` of a training: processes that decode, beside each that trains.",
    )
    training_processes: int = Field(1, ge=1, description="Processes of a training job, as a rule one for each GPU.")
    torch_dtype: str = Field(
        "auto",
        pattern="^(auto|float32|float16|bfloat16)$",
        description="The model's number type; `auto` is float16 on a GPU, which is nearer to float32 than bfloat16 is.",
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
        """The environment before the files of the folder."""
        folder = os.environ.get("CINEMO_SECRETS_FOLDER")
        return init_settings, env_settings, SecretFiles(settings_cls, secrets_dir=folder)

    @property
    def broker(self) -> str:
        """URL of the Redis that the queue is in."""
        return self.broker_url or self.redis_url

    @model_validator(mode="after")
    def require_usable_broker(self) -> Self:
        """Celery cannot use everything that job records can be in."""
        broker(self.broker)
        return self

    @model_validator(mode="after")
    def require_signing_key(self) -> Self:
        """Files on disk are served by this API, which must be able to tell its own URLs from made-up ones."""
        if self.storage_url.startswith("file://") and self.url_signing_key is None:
            raise ValueError("CINEMO_URL_SIGNING_KEY must be set where CINEMO_STORAGE_URL is file://…")
        return self
