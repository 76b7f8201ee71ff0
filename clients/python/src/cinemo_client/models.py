"""What the API returns and accepts. Generated from `docs/openapi.json` by `make generate`: do not edit.

The service checks limits, which depend on its settings. Fields that a newer service adds are kept.
"""

from datetime import datetime
from enum import Enum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class ApiModel(BaseModel):
    """Base of all models."""

    model_config = ConfigDict(extra="allow")


class ApiEnum(str, Enum):
    """Base of all enumerations; members are strings."""

    def __str__(self) -> str:
        return str(self.value)


class JobStatus(ApiEnum):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    CANCELING = "canceling"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    EXPIRED = "expired"


class JobError(ApiModel):
    """Why a job failed."""

    code: str
    """For programs to tell failures apart; more may come."""
    message: str
    """What was got, what is allowed."""
    retryable: bool
    """Whether the same job, sent again, may succeed."""


class JobMetrics(ApiModel):
    """Where the time went, in milliseconds; `gpu_ms` is the model's own share, on whatever device it ran."""

    queue_ms: int | None = None
    execution_ms: int | None = None
    gpu_ms: int | None = None


class Urls(ApiModel):
    """Where to ask about the job, and have it stop."""

    self: str
    events: str
    cancel: str


class AnimateRequest(ApiModel):
    """An animate job as accepted, defaults filled in."""

    model: str
    """One of `GET /models`; the service's own if not given."""
    num_inference_steps: int
    """Denoising steps, 200 at most; the model's own number if not given."""
    frames: int = 16
    """Frames of a clip; 128 at most in all clips."""
    detail: Literal["photo", "off"] = "photo"
    """`photo`: the model decides what moves and how light changes, the photo supplies the detail, at any size. `off`:
    what the model makes by itself, at a size that it works at, 1024 × 1024 in all at most."""
    width: int | None = None
    """Of the video, in pixels; 1920 × 1080 in all at most. A side that is not given follows the photo's shape; without
    both, the video is as large as the photo, within 1280 × 720, or 720 × 1280 for an upright one. With `detail` `off`:
    multiples of 8, both sides, or neither for the model's own."""
    height: int | None = None
    """Likewise."""
    fit: Literal["crop", "pad"] = "crop"
    """`crop` fills the frame and cuts what stands over, `pad` keeps all between black bars."""
    fps: int = 8
    """Of the model's frames, a second; the video plays `frame_rate_factor` times as many."""
    frame_rate_factor: int | None = None
    """Frames of the video for each of the model's. If not given: 3, where that is within 60 a second; 1 with `detail`
    `off`, which can have no more."""
    format: Literal["mp4", "webm", "gif", "webp"] = "mp4"
    """H.264, VP9, or an animated picture."""
    first_frame: Literal["photo", "decoded"] = "photo"
    """`photo` is the photo's own pixels. `decoded`, with `detail` `off`, is what the model's decoder makes of them, as
    of all other frames, so that a video that plays in a loop does not jump after its first."""
    prompt: str | list[str]
    """What happens in the video, in 1 to 1000 code points; an array of as many has one for each of `clips`. An array is
    JSON in forms."""
    negative_prompt: str = ""
    """What guidance leads away from; up to 1000 code points."""
    motion_intensity: int = 10
    """0 (still) to 19 (strong), the same for every model."""
    motion_bucket_id: float | None = None
    """The model's own motion bucket, in place of the intensity."""
    seed: int
    """Same seed, same video; drawn at random if not given."""
    guidance_scale: float
    """1 is no guidance; the model's own if not given."""
    noise_refinement: bool = True
    """DCTInit: start from the picture's low frequencies."""
    noise_cutoff: float = 0.23
    """Share of the frequencies that DCTInit takes."""
    noise_level: int = 975
    """Timestep to which DCTInit noises the picture."""
    sampler: Literal["ddim", "unipc", "dpm++"] = "ddim"
    """`ddim` is as published; the others need fewer steps."""
    cache_interval: int = 1
    """1 is exact; above, deep features are computed in every so many steps only."""
    clips: int = 1
    """Clips in a row, each from the last frame of the one before."""


class Progress(ApiModel):
    """Steps done, of denoising or of training."""

    step: int
    steps: int
    fraction: float
    message: str


class Video(ApiModel):
    """The video; sizes in pixels, length in seconds."""

    url: str
    url_expires_at: datetime
    content_type: str
    bytes: int
    sha256: str
    width: int
    height: int
    frames: int
    fps: float
    seconds: float


class File(ApiModel):
    """A file to download until its URL expires."""

    url: str
    url_expires_at: datetime
    content_type: str
    bytes: int
    sha256: str


class VideoOutput(ApiModel):
    """What a succeeded job made."""

    video: Video
    poster: File
    manifest: File


class AnimateJob(ApiModel):
    """A job that makes a video of a photo."""

    id: str
    kind: Literal["animate"]
    status: JobStatus
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    deadline: datetime | None
    """When it expires, or is canceled if it runs, by `Cancel-After`."""
    queue_position: int | None
    """1 is next; null once it runs."""
    eta: datetime | None
    """When it should end, by the jobs before it and what such jobs took; once it runs, by its own steps."""
    attempt: int
    """How many times a worker has begun it."""
    error: JobError | None
    metrics: JobMetrics
    urls: Urls
    reused_from: str | None
    """The equal job whose output was given again; the model did not run."""
    data_removed: bool
    """Whether its files are gone: by their age, or by `DELETE`."""
    expires_at: datetime | None
    """When this record is dropped; null until the job has ended."""
    metadata: dict[str, str]
    """As it was given."""
    webhook_url: str | None
    webhook_events: list[str]
    """Of what the webhook URL is told; more may come."""
    priority: int
    reuse: bool
    request: AnimateRequest
    progress: Progress | None
    output: VideoOutput | None


class Attempt(ApiModel):
    """One request to a receiver."""

    at: datetime
    status: int | None
    """Of the answer; null where there was none."""
    latency_ms: int
    error: str | None
    """Why it counts as failed; null where it does not."""


class FrameSize(ApiModel):
    """Of a frame, in pixels."""

    width: int
    height: int


class DataConfig(ApiModel):
    """Which videos, and how a clip is cut from one."""

    source: str
    """Prefix in the service's storage, below which video files with captions or WebDataset shards (.tar) lie."""
    kind: Literal["videos", "stills"] = "videos"
    """`stills`: photos, set in motion while the run goes on and captioned by what moves."""
    frames: int = 16
    """Frames of a clip."""
    width: int = 512
    """Pixels; videos are scaled and cut to the middle."""
    height: int = 320
    """Pixels."""
    more_sizes: list[FrameSize] = []
    """Further sizes, as upright ones; each step takes one of all of them."""
    min_interval: int = 3
    """A clip takes every n-th frame, n drawn from here …"""
    max_interval: int = 10
    """… to here, or as far as the video's length allows."""
    strong_score: float = 0.0
    """Mean SSIM at which the strongest motion bucket begins."""
    allow_uncaptioned: bool = False
    """Take a manifest in which nothing is a caption; else it is refused."""
    workers: int = 2
    """Processes that decode; 0 decodes between the steps."""
    cache_latents: bool = False
    """Encode each clip once, and keep its latents in float16."""
    variants: int = 4
    """Different clips cut from a video, where latents are cached."""
    max_broken_share: float = 0.05
    """A larger share of unusable videos ends the run."""
    preflight_videos: int = 64
    """How many are read before anything is computed."""


class Dataset(ApiModel):
    """What a look at the training data told."""

    videos: int
    captioned: int | None = None
    """How many of the videos have a caption."""
    sampled: int
    broken: dict[str, str]
    buckets: list[int]
    """Clips by motion bucket, 0 (still) to 19."""
    histogram: File
    notes: list[str] = []
    """What else was found, as videos that are left out; a sentence each."""


class DeliveryStatus(ApiEnum):
    """Where a delivery stands."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"
    STOPPED = "stopped"


class Delivery(ApiModel):
    """A webhook to one receiver, with each attempt to send it, the oldest first; the last hundred."""

    id: str
    """The `webhook-id`, the same in every attempt."""
    type: str
    """One of job.running, job.succeeded, job.failed, job.canceled, job.expired; more may come."""
    url: str
    endpoint: str | None
    """Null where the job itself named the URL."""
    status: DeliveryStatus
    created_at: datetime
    next_attempt_at: datetime | None
    """Null once it is over, and while an earlier one is not."""
    attempts: list[Attempt]


class DeliveryList(ApiModel):
    """A job's webhooks, in the order in which each receiver hears of them."""

    deliveries: list[Delivery]


class EditRequest(ApiModel):
    """An edit job as accepted: the motion of a video for another first frame."""

    model: str
    """One of `GET /models`; the service's own if not given."""
    num_inference_steps: int = 50
    """Of the inversion, and again of the animation."""
    frames: int = 16
    """Frames of a clip; 128 at most in all clips."""
    detail: Literal["photo", "off"] = "photo"
    """`photo`: the model decides what moves and how light changes, the photo supplies the detail, at any size. `off`:
    what the model makes by itself, at a size that it works at, 1024 × 1024 in all at most."""
    width: int | None = None
    """Of the video, in pixels; 1920 × 1080 in all at most. A side that is not given follows the photo's shape; without
    both, the video is as large as the photo, within 1280 × 720, or 720 × 1280 for an upright one. With `detail` `off`:
    multiples of 8, both sides, or neither for the model's own."""
    height: int | None = None
    """Likewise."""
    fit: Literal["crop", "pad"] = "crop"
    """`crop` fills the frame and cuts what stands over, `pad` keeps all between black bars."""
    fps: int | None = None
    """Of the model's frames, a second; if not given, the clip moves as fast as its source, at 100 frames a second at
    most."""
    frame_rate_factor: int | None = None
    """Frames of the video for each of the model's. If not given: with `fps` 3, where that is within 60 a second;
    without, as many as `frame_interval`, 3 at most; 1 with `detail` `off`, which can have no more."""
    format: Literal["mp4", "webm", "gif", "webp"] = "mp4"
    """H.264, VP9, or an animated picture."""
    first_frame: Literal["photo", "decoded"] = "photo"
    """`photo` is the photo's own pixels. `decoded`, with `detail` `off`, is what the model's decoder makes of them, as
    of all other frames, so that a video that plays in a loop does not jump after its first."""
    prompt: str = ""
    """What happens; may be empty, as the noise carries the motion."""
    source_prompt: str | None = None
    """What happens in the source video, for its inversion; the prompt if not given."""
    motion_intensity: int | None = None
    """Of both; measured from the video if not given."""
    motion_bucket_id: float | None = None
    """The model's own motion bucket, in place of the intensity."""
    noise_refinement: bool = False
    """DCTInit of the inverted noise, by the picture."""
    noise_cutoff: float = 0.23
    """Share of the frequencies that DCTInit takes."""
    noise_level: int = 975
    """Timestep to which DCTInit noises the picture."""
    frame_interval: int = 1
    """Take every so manieth frame of the video."""


class EditJob(ApiModel):
    """A job that gives a video's motion to another first frame."""

    id: str
    kind: Literal["edit"]
    status: JobStatus
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    deadline: datetime | None
    """When it expires, or is canceled if it runs, by `Cancel-After`."""
    queue_position: int | None
    """1 is next; null once it runs."""
    eta: datetime | None
    """When it should end, by the jobs before it and what such jobs took; once it runs, by its own steps."""
    attempt: int
    """How many times a worker has begun it."""
    error: JobError | None
    metrics: JobMetrics
    urls: Urls
    reused_from: str | None
    """The equal job whose output was given again; the model did not run."""
    data_removed: bool
    """Whether its files are gone: by their age, or by `DELETE`."""
    expires_at: datetime | None
    """When this record is dropped; null until the job has ended."""
    metadata: dict[str, str]
    """As it was given."""
    webhook_url: str | None
    webhook_events: list[str]
    """Of what the webhook URL is told; more may come."""
    priority: int
    reuse: bool
    request: EditRequest
    progress: Progress | None
    output: VideoOutput | None


class Event(ApiModel):
    """Something that happened to a job; ids grow."""

    id: str
    type: str
    at: datetime
    data: dict[str, Any]


class EventList(ApiModel):
    """Events of a job, the oldest first."""

    events: list[Event]


class FieldProblem(ApiModel):
    """What is wrong with one field."""

    pointer: str
    """JSON pointer in fragment form (RFC 6901, section 6)."""
    detail: str


class Health(ApiModel):
    """The process runs, or more."""

    status: Literal["ok"] = "ok"


class OptimizerConfig(ApiModel):
    """Adam (arXiv 1412.6980); AdamW's decoupled decay (arXiv 1711.05101) where it decays weights."""

    learning_rate: float = 0.0001
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-08
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0


class ScheduleConfig(ApiModel):
    """How the learning rate goes on after its linear warm-up."""

    kind: Literal["constant", "cosine"] = "constant"
    warmup_steps: int = 0
    last_share: float = 0.0
    """Of the learning rate, where the cosine ends."""


class ObjectiveConfig(ApiModel):
    """What the network is taught to predict."""

    prediction_type: Literal["epsilon", "v_prediction"] | None = None
    """The noise, or the velocity (arXiv 2202.00512); the base model's own if not given."""
    min_snr_gamma: float | None = None
    """Weigh timesteps by min(SNR, gamma) (arXiv 2303.09556); none weighs all alike."""
    flow_smoothness: float = 0.0
    """Weight of errors in the slope of the predicted flow, where the latents hold flow."""


class LoraConfig(ApiModel):
    """Low-rank updates of the attention layers alone (arXiv 2106.09685), merged into the published weights."""

    rank: int = 16
    alpha: int = 16


class SampleConfig(ApiModel):
    """Clips made of the training videos' first frames and captions while the run goes on."""

    every_steps: int = 1000
    """0 makes none."""
    clips: int = 2
    num_inference_steps: int | None = None
    """The base model's own if not given."""


class TrainConfig(ApiModel):
    """A whole run. The same configuration, data and base model give the same weights on the same machine."""

    name: str
    """What the new model is called."""
    base_model: str = "tiny"
    """`tiny`, the service's own model or a published one: `name@revision`, or `name` for the newest."""
    data: DataConfig
    steps: int
    """Optimizer steps."""
    batch_size: int = 80
    """Clips a step, over all processes and accumulated parts."""
    gradient_accumulation_steps: int = 1
    """Parts that a process's share comes in."""
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    objective: ObjectiveConfig = ObjectiveConfig()
    prompt_dropout: float = 0.5
    """How often the caption is left out."""
    ema_decay: float = 0.9999
    """Of the average of the weights, which is what is published."""
    precision: Literal["float32", "bfloat16", "float16"] = "bfloat16"
    """What the networks compute in."""
    gradient_checkpointing: bool = False
    """Less memory, a third more work."""
    train_text_encoder: bool = False
    """Train the text encoder with the UNet."""
    lora: LoraConfig | None = None
    """Train low-rank updates instead of all weights."""
    seed: int = 0
    log_every_steps: int = 10
    checkpoint_every_steps: int = 500
    samples: SampleConfig = SampleConfig()


class TrainingProgress(ApiModel):
    """Optimizer steps done, and how it goes."""

    step: int
    steps: int
    fraction: float
    message: str
    loss: float
    """Mean since the last report."""
    learning_rate: float
    clips_per_second: float
    waiting_share: float
    """Of the time, what was spent waiting for data, 0 to 1."""


class TrainingSample(ApiModel):
    """A clip made while a training goes on, with the averaged weights after a step."""

    step: int
    video: File
    poster: File


class TrainingFiles(ApiModel):
    """What a training job leaves in the storage while it goes on."""

    dataset: Dataset | None
    checkpoint_step: int | None
    """Where it would go on if its worker died now."""
    samples: list[TrainingSample]
    """Of the newest 50 steps that have any; those before stay in the storage with the job's other files."""
    tensorboard: list[File]


class ModelOutput(ApiModel):
    """What a succeeded training job made: a model that `POST /animate` takes by this name."""

    model: str
    first_loss: float
    last_loss: float


class TrainJob(ApiModel):
    """A job that makes a model of videos."""

    id: str
    kind: Literal["train"]
    status: JobStatus
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    deadline: datetime | None
    """When it expires, or is canceled if it runs, by `Cancel-After`."""
    queue_position: int | None
    """1 is next; null once it runs."""
    eta: datetime | None
    """When it should end, by the jobs before it and what such jobs took; once it runs, by its own steps."""
    attempt: int
    """How many times a worker has begun it."""
    error: JobError | None
    metrics: JobMetrics
    urls: Urls
    reused_from: str | None
    """The equal job whose output was given again; the model did not run."""
    data_removed: bool
    """Whether its files are gone: by their age, or by `DELETE`."""
    expires_at: datetime | None
    """When this record is dropped; null until the job has ended."""
    metadata: dict[str, str]
    """As it was given."""
    webhook_url: str | None
    webhook_events: list[str]
    """Of what the webhook URL is told; more may come."""
    priority: int
    reuse: bool
    request: TrainConfig
    progress: TrainingProgress | None
    training: TrainingFiles | None
    continues: str | None
    """The training of which it is a rerun, and whose last state it began from."""
    output: ModelOutput | None


Job = Annotated[AnimateJob | EditJob | TrainJob, Field(discriminator="kind")]


class JobList(ApiModel):
    """A page of jobs, the newest first."""

    jobs: list[Job]
    next_cursor: str | None
    """Give it as `cursor` for the next page; null on the last one."""


class Message(ApiModel):
    """The body of a webhook: a job, as it came into a state."""

    type: str
    """One of job.running, job.succeeded, job.failed, job.canceled, job.expired; more may come."""
    timestamp: datetime
    """When it came into the state, however late this is sent."""
    data: Job


class MotionScale(ApiModel):
    """The bucket of intensity 0, what each intensity adds, and the motion score at which the strongest one begins."""

    at_zero: float
    per_intensity: float
    strong_score: float = 0.0
    """Mean SSIM of consecutive frames."""


class Model(ApiModel):
    """A model, and how it wants to be used; sizes in pixels."""

    model: str
    """What requests call it."""
    name: str
    revision: str | None
    """Null for the model that the service was started with."""
    default: bool
    """Whether it is taken where a request names none."""
    created_at: datetime | None = None
    job: str | None = None
    """The training that made it."""
    base_model: str | None = None
    bytes: int | None = None
    width: int | None = None
    height: int | None = None
    num_inference_steps: int | None = None
    guidance_scale: float | None = None
    motion_scale: MotionScale | None = None


class ModelList(ApiModel):
    """All models, the service's own first, then the published ones, the newest first."""

    models: list[Model]


class PresignedUpload(ApiModel):
    """Where to PUT the file, with which headers; then jobs may name it."""

    id: str
    url: str
    method: Literal["PUT"] = "PUT"
    headers: dict[str, str]
    expires_at: datetime


class Problem(ApiModel):
    """Why a request was not carried out (RFC 9457)."""

    type: str
    title: str
    """The same for every problem of this code."""
    status: int
    detail: str
    """What was got, what is allowed, what to do."""
    code: str
    """For programs to tell problems apart."""
    retryable: bool
    """Whether the same request may succeed later."""
    request_id: str
    """Quote it when reporting the problem."""
    errors: list[FieldProblem] = []
    """The fields that are wrong, where it was fields."""


class Redelivered(ApiModel):
    """How many webhooks are sent again."""

    redelivered: int


class Upload(ApiModel):
    """A file that the caller's jobs may name until it expires."""

    id: str
    content_type: str
    """Going by its first bytes."""
    bytes: int
    sha256: str
    expires_at: datetime
