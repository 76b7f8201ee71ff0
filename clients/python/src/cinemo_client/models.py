"""What the API returns and accepts. Generated from `docs/openapi.json` by `make generate`: do not edit.

Limits are checked by the service, as they depend on its settings. Fields that a newer service adds are kept.
"""

from datetime import date, datetime
from enum import Enum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class ApiModel(BaseModel):
    """Base class of all models."""

    model_config = ConfigDict(extra="allow")


class ApiEnum(str, Enum):
    """Base class of all enumerations, whose members are strings."""

    def __str__(self) -> str:
        return str(self.value)


class AdapterChoice(ApiModel):
    """An adapter and its weight; in text, as in forms and on the command line, `MODEL` or `MODEL=WEIGHT`."""

    model: str
    """An adapter from `GET /models`."""
    weight: float = 1
    """1 is the adapter as it was trained, 0 leaves it out."""


class JobStatus(ApiEnum):
    """Status of a job."""

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
    """Machine-readable code of the failure; values may be added."""
    message: str
    """What was received and what is allowed."""
    retryable: bool
    """Whether the same job may succeed if sent again."""


class JobMetrics(ApiModel):
    """Timings in milliseconds; `gpu_ms` is the model's share, on whatever device it ran."""

    queue_ms: int | None = None
    execution_ms: int | None = None
    gpu_ms: int | None = None


class Urls(ApiModel):
    """URLs to query and cancel the job."""

    self: str
    events: str
    cancel: str


class AnimateRequest(ApiModel):
    """An animate job as accepted, with defaults filled in."""

    prompt: str | list[str]
    """What happens in the video, in 1 to 1000 code points, or an array with one prompt for each of `clips`. In forms, a
    JSON array."""
    adapters: list[AdapterChoice] = []
    """Adapters to apply on top of `model`, up to 4, weighted from -2 to 2. Their base must be `model`, or if that is an
    adapter itself, its base."""
    detail: Literal["photo", "off"] = "photo"
    """`photo`: the model decides what moves and how the light changes, and the photo supplies the detail, at any size.
    `off`: only the model's own output, at a size the model supports."""
    width: int | None = None
    """Width of the video in pixels. If you omit one side, it follows the photo's aspect ratio; if you omit both, the
    video is as large as the photo, up to 1280 × 720, or 720 × 1280 for portrait photos. With `detail` `off`: multiples
    of 8, and either both sides or neither, for the model's own size."""
    height: int | None = None
    """Height of the video; see `width`."""
    fit: Literal["crop", "pad"] = "crop"
    """`crop` fills the frame and cuts off the rest; `pad` keeps the whole picture between black bars."""
    first_frame: Literal["photo", "decoded"] = "photo"
    """`photo` keeps the photo's own pixels. `decoded`, with `detail` `off`, decodes the first frame with the model like
    all the others, so that a looping video doesn't jump after it."""
    motion_bucket_id: float | None = None
    """The model's own motion bucket; overrides the intensity."""
    noise_cutoff: float = 0.23
    """Share of the frequencies that DCTInit uses."""
    noise_level: int = 975
    """Timestep to which DCTInit adds noise to the picture."""
    model: str
    """A model from `GET /models`; defaults to the service's own."""
    format: Literal["mp4", "webm", "gif", "webp"] = "mp4"
    """H.264 (`mp4`), VP9 (`webm`) or an animated picture."""
    negative_prompt: str = ""
    """What guidance steers away from."""
    motion_intensity: float = 10
    """0 (still) to 19 (strong), comparable across models."""
    seed: int
    """The same seed gives the same video. Random by default."""
    num_inference_steps: int
    """Denoising steps; defaults to the model's own number."""
    guidance_scale: float
    """1 disables guidance; defaults to the model's own value."""
    guidance_rescale: float = 0
    """How far guided predictions are scaled back to the contrast of unguided ones; avoids overexposed, oversaturated
    frames at high guidance. 0 disables it, 0.7 is usual."""
    noise_refinement: bool = True
    """DCTInit: start from the picture's low frequencies."""
    sampler: Literal["ddim", "unipc", "dpm++"] = "ddim"
    """`ddim` is the published sampler; the others need fewer steps."""
    cache_interval: int = 1
    """Compute deep features only every Nth step; 1 is exact."""
    frames: int = 16
    """Frames per clip."""
    clips: int = 1
    """Number of consecutive clips, each starting from the last frame of the previous one."""
    fps: float = 8
    """Frames per second from the model; the video plays `frame_rate_factor` times as many."""
    frame_rate_factor: int | None = None
    """Video frames per model frame. Defaults to 3 if that is within 60 frames per second; always 1 with `detail`
    `off`."""


class Progress(ApiModel):
    """Completed steps of denoising or training."""

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


class Signing(ApiModel):
    """Whether video and poster are signed (C2PA content credentials), and by whom, or why not."""

    signed: bool
    signer: str | None = None
    """Name in the certificate; null if unsigned."""
    job: str | None = None
    """The job that the credentials name: an earlier one if its output was reused; null if unsigned."""
    error: str | None = None
    """Why they couldn't be signed; null if signed."""


class VideoOutput(ApiModel):
    """The output of a succeeded job."""

    video: Video
    poster: File
    spritesheet: File | None = None
    """Up to 16 evenly spaced frames as one JPEG, four in a row, each at most 320 pixels wide; null for jobs of earlier
    releases."""
    manifest: File
    credentials: File | None = None
    """Signed content credentials (C2PA) of a WebM video, which can't hold them itself; null for other formats, whose
    files contain them, and if unsigned."""
    digital_source_type: str | None = None
    """IPTC digital source type that video and poster state, as a URL; null if unmarked."""
    signing: Signing | None = None
    """How video and poster are signed; null if the service doesn't sign them."""
    watermark_id: str | None = None
    """Eight hexadecimal digits that the pixels of video and poster carry; null without a watermark."""


class AnimateJob(ApiModel):
    """A job that makes a video from a photo."""

    id: str
    kind: Literal["animate"]
    status: JobStatus
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    deadline: datetime | None
    """When the job expires, or is canceled if running, as set with `Cancel-After`."""
    queue_position: int | None
    """1 is next; null once the job runs."""
    eta: datetime | None
    """Expected end. While queued, estimated from the jobs ahead and how long such jobs took; once running, from its own
    steps."""
    attempt: int
    """How many times a worker has started the job."""
    device_ms: int
    """Time for which the job's attempts held a device, including lost ones, excluding the running one. It counts
    towards your usage."""
    error: JobError | None
    metrics: JobMetrics
    urls: Urls
    reused_from: str | None
    """The identical job whose output was reused; the model did not run."""
    data_removed: bool
    """Whether the job's files were deleted, because of their age or with `DELETE`."""
    expires_at: datetime | None
    """When this record expires; null until the job has ended."""
    metadata: dict[str, str]
    """As sent with the request."""
    webhook_url: str | None
    webhook_events: list[str]
    """Events sent to the webhook URL; values may be added."""
    priority: int
    reuse: bool
    preview: bool
    request: AnimateRequest
    progress: Progress | None
    output: VideoOutput | None


class AnimateValidation(ApiModel):
    """A valid request to animate a photo."""

    kind: Literal["animate"]
    jobs_ahead: int
    """Estimated number of jobs that would start before it."""
    starts_at: datetime | None
    """Estimated start; null if no worker is available, or no such job has run yet."""
    run_seconds: float | None
    """Estimated run time; null if no such job has run yet."""
    eta: datetime | None
    """Estimated end; null if start or run time are."""
    metadata: dict[str, str]
    """As sent with the request."""
    webhook_url: str | None
    webhook_events: list[str]
    """Events that would be sent to the webhook URL."""
    priority: int
    reuse: bool
    preview: bool
    request: AnimateRequest
    """With its defaults, and the model pinned to its revision."""


class Attempt(ApiModel):
    """One request to a receiver."""

    at: datetime
    status: int | None
    """HTTP status of the response; null if there was none."""
    latency_ms: int
    error: str | None
    """Why the attempt failed; null if it didn't."""


class Base(ApiModel):
    """The model that an adapter was trained on."""

    model: str
    revision: str
    """An adapter is used only with exactly this revision of its base."""


class Budget(ApiModel):
    """What a tenant may use in a month, and what it has used."""

    tenant: str
    month: str
    device_seconds: float
    """Used in the month so far."""
    max_device_seconds: float | None
    """Null for no limit."""
    cost: float | None
    """Used in the month so far; null if the service has no prices."""
    max_cost: float | None
    """Null for no limit."""
    currency: str | None
    """Currency of costs, an ISO 4217 code; null if the service has no prices."""
    renews_at: datetime
    """When the next month begins, in UTC."""


class BudgetMessage(ApiModel):
    """The body of a webhook: 80 % of your budget for this month are used. It is sent once a month."""

    type: Literal["usage.budget_warning"]
    timestamp: datetime
    """When that was so, however late the webhook is sent."""
    data: Budget


class ClipFigures(ApiModel):
    """What was measured of one model's clips of the same photos, prompts and seeds."""

    recognized_share: float | None
    """Clips that show the requested motion more clearly than any other known one; null if the prompts don't name known
    motions."""
    intensity_correlation: float
    """Spearman correlation of the requested intensity with the measured motion."""
    flow: float
    """Mean length of the flow back to the photo, in pixels of a picture of 192x128."""
    flow_by_prompt: dict[str, float]
    """The same for each prompt."""
    sharpness: float
    """Mean gradient of the last frames, as a share of the first frame's."""
    consistency: float
    """Mean SSIM of consecutive frames."""
    late_ssim: float | None
    """Mean SSIM of the last frames of pans and zooms with the photo under the nearest pure pan or zoom; null if no
    prompt names one."""


class Comparison(ApiModel):
    """A student and its teacher, side by side."""

    teacher: ClipFigures
    student: ClipFigures
    passes: int
    """Network evaluations that the student needs for a clip."""
    teacher_passes: int
    """Network evaluations that the teacher needs."""
    shortfalls: list[str]
    """What the student loses more of than is accepted."""


class FrameSize(ApiModel):
    """Width and height of a frame in pixels."""

    width: int
    height: int


class DataConfig(ApiModel):
    """Which videos to train on, and how to cut clips from them."""

    source: str
    """Prefix in the service's storage that contains video files with captions, or WebDataset shards (.tar)."""
    kind: Literal["videos", "stills"] = "videos"
    """`stills`: photos that are set in motion during the run and captioned by their motion."""
    frames: int = 16
    """Frames per clip."""
    width: int = 512
    """Width in pixels; videos are scaled and center-cropped."""
    height: int = 320
    """Height in pixels."""
    more_sizes: list[FrameSize] = []
    """Additional sizes, such as portrait ones; each step uses one of all sizes."""
    min_interval: int = 3
    """A clip uses every nth frame, with n drawn from this minimum …"""
    max_interval: int = 10
    """… to this maximum, or as far as the video's length allows."""
    strong_score: float = 0.0
    """Mean SSIM at which the strongest motion bucket starts."""
    allow_uncaptioned: bool = False
    """Accept a manifest without any captions, which is otherwise rejected."""
    workers: int = 2
    """Number of decoding processes; 0 decodes between steps."""
    cache_latents: bool = False
    """Encode each clip once and cache its latents in float16."""
    variants: int = 4
    """Number of different clips per video when latents are cached."""
    max_broken_share: float = 0.05
    """Highest share of unusable videos before the run stops."""
    preflight_videos: int = 64
    """Number of videos to check before training starts."""


class Dataset(ApiModel):
    """Results of checking the training data."""

    videos: int
    captioned: int | None = None
    """Number of videos with a caption."""
    sampled: int
    broken: dict[str, str]
    buckets: list[int]
    """Clips by motion bucket, 0 (still) to 19."""
    histogram: File
    notes: list[str] = []
    """Other findings, such as videos that were skipped; one sentence each."""


class DeliveryStatus(ApiEnum):
    """Status of a delivery."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"
    STOPPED = "stopped"


class Delivery(ApiModel):
    """A webhook to one receiver, with its attempts, oldest first; the last hundred."""

    id: str
    """The `webhook-id`, the same for every attempt."""
    type: str
    """One of job.running, job.succeeded, job.failed, job.canceled, job.expired, video.completed, video.failed; values
    may be added."""
    url: str
    endpoint: str | None
    """Null if the URL is the job's own."""
    status: DeliveryStatus
    created_at: datetime
    next_attempt_at: datetime | None
    """Null once the delivery is complete, and while an earlier one is pending."""
    attempts: list[Attempt]


class DeliveryList(ApiModel):
    """A job's webhook deliveries, in the order in which each receiver gets them."""

    deliveries: list[Delivery]


class Dimension(ApiEnum):
    """What usage is grouped by."""

    DAY = "day"
    TENANT = "tenant"
    KIND = "kind"
    MODEL = "model"


class DistillConfig(ApiModel):
    """What a student is to do without, and what it is checked by before it is published."""

    steps: int = 4
    """Denoising steps that the student takes, without guidance."""
    solver_steps: int = 40
    """Steps into which the teacher's whole way is cut; a multiple of `steps`."""
    guidance_scale: float | None = None
    """Guidance that the student learns to do without; defaults to the base model's own value."""
    checked_prompts: int = 15
    """Number of prompts by which student and teacher are compared before publication: the known motions with
    `data.kind: stills`, else captions of the dataset."""
    force: bool = False
    """Publish a student that falls short of its teacher, too."""


class EditRequest(ApiModel):
    """An edit job as accepted, with defaults filled in."""

    prompt: str = ""
    """What happens; may be empty, because the noise carries the motion."""
    adapters: list[AdapterChoice] = []
    """Adapters to apply on top of `model`, up to 4, weighted from -2 to 2. Their base must be `model`, or if that is an
    adapter itself, its base."""
    detail: Literal["photo", "off"] = "photo"
    """`photo`: the model decides what moves and how the light changes, and the photo supplies the detail, at any size.
    `off`: only the model's own output, at a size the model supports."""
    width: int | None = None
    """Width of the video in pixels. If you omit one side, it follows the photo's aspect ratio; if you omit both, the
    video is as large as the photo, up to 1280 × 720, or 720 × 1280 for portrait photos. With `detail` `off`: multiples
    of 8, and either both sides or neither, for the model's own size."""
    height: int | None = None
    """Height of the video; see `width`."""
    fit: Literal["crop", "pad"] = "crop"
    """`crop` fills the frame and cuts off the rest; `pad` keeps the whole picture between black bars."""
    first_frame: Literal["photo", "decoded"] = "photo"
    """`photo` keeps the photo's own pixels. `decoded`, with `detail` `off`, decodes the first frame with the model like
    all the others, so that a looping video doesn't jump after it."""
    motion_bucket_id: float | None = None
    """The model's own motion bucket; overrides the intensity."""
    noise_cutoff: float = 0.23
    """Share of the frequencies that DCTInit uses."""
    noise_level: int = 975
    """Timestep to which DCTInit adds noise to the picture."""
    model: str
    """A model from `GET /models`; defaults to the service's own."""
    format: Literal["mp4", "webm", "gif", "webp"] = "mp4"
    """H.264 (`mp4`), VP9 (`webm`) or an animated picture."""
    source_prompt: str | None = None
    """What happens in the source video, for its inversion; defaults to `prompt`."""
    motion_intensity: float | None = None
    """Motion intensity of both videos; measured from the source video by default."""
    num_inference_steps: int
    """Steps of the inversion, and again of the animation; defaults to the model's own number."""
    noise_refinement: bool = False
    """DCTInit of the inverted noise, from the picture."""
    frames: int = 16
    """Number of frames to use from the video."""
    frame_interval: int = 1
    """Use every Nth frame of the video."""
    fps: float | None = None
    """Frames per second from the model; by default, the clip moves as fast as its source, with at most 100 frames per
    second."""
    frame_rate_factor: int | None = None
    """Video frames per model frame. Defaults to 3 with `fps`, if that is within 60 frames per second; without `fps`, to
    `frame_interval`, at most 3. Always 1 with `detail` `off`."""


class EditJob(ApiModel):
    """A job that applies a video's motion to another first frame."""

    id: str
    kind: Literal["edit"]
    status: JobStatus
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    deadline: datetime | None
    """When the job expires, or is canceled if running, as set with `Cancel-After`."""
    queue_position: int | None
    """1 is next; null once the job runs."""
    eta: datetime | None
    """Expected end. While queued, estimated from the jobs ahead and how long such jobs took; once running, from its own
    steps."""
    attempt: int
    """How many times a worker has started the job."""
    device_ms: int
    """Time for which the job's attempts held a device, including lost ones, excluding the running one. It counts
    towards your usage."""
    error: JobError | None
    metrics: JobMetrics
    urls: Urls
    reused_from: str | None
    """The identical job whose output was reused; the model did not run."""
    data_removed: bool
    """Whether the job's files were deleted, because of their age or with `DELETE`."""
    expires_at: datetime | None
    """When this record expires; null until the job has ended."""
    metadata: dict[str, str]
    """As sent with the request."""
    webhook_url: str | None
    webhook_events: list[str]
    """Events sent to the webhook URL; values may be added."""
    priority: int
    reuse: bool
    preview: bool
    request: EditRequest
    progress: Progress | None
    output: VideoOutput | None


class EditValidation(ApiModel):
    """A valid request to edit a video."""

    kind: Literal["edit"]
    jobs_ahead: int
    """Estimated number of jobs that would start before it."""
    starts_at: datetime | None
    """Estimated start; null if no worker is available, or no such job has run yet."""
    run_seconds: float | None
    """Estimated run time; null if no such job has run yet."""
    eta: datetime | None
    """Estimated end; null if start or run time are."""
    metadata: dict[str, str]
    """As sent with the request."""
    webhook_url: str | None
    webhook_events: list[str]
    """Events that would be sent to the webhook URL."""
    priority: int
    reuse: bool
    preview: bool
    request: EditRequest
    """With its defaults, and the model pinned to its revision."""


class Event(ApiModel):
    """An event of a job; IDs increase."""

    id: str
    type: str
    at: datetime
    data: dict[str, Any]


class EventList(ApiModel):
    """Events of a job, oldest first."""

    events: list[Event]


class FieldProblem(ApiModel):
    """An error in one field."""

    pointer: str
    """JSON pointer in fragment form (RFC 6901, section 6)."""
    detail: str


class Health(ApiModel):
    """The process is running, or ready."""

    status: Literal["ok"] = "ok"


class OptimizerConfig(ApiModel):
    """Adam (arXiv 1412.6980), with AdamW's decoupled decay (arXiv 1711.05101) if weight decay is set."""

    learning_rate: float = 0.0001
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-08
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0


class ScheduleConfig(ApiModel):
    """Learning rate schedule after the linear warm-up."""

    kind: Literal["constant", "cosine"] = "constant"
    warmup_steps: int = 0
    last_share: float = 0.0
    """Share of the learning rate at the end of the cosine."""


class ObjectiveConfig(ApiModel):
    """What the network learns to predict."""

    prediction_type: Literal["epsilon", "v_prediction"] | None = None
    """The noise or the velocity (arXiv 2202.00512); defaults to the base model's own."""
    min_snr_gamma: float | None = None
    """Weight timesteps by min(SNR, gamma) (arXiv 2303.09556); null weights all equally."""
    flow_smoothness: float = 0.0
    """Weight of errors in the gradient of the predicted flow, for models whose latents contain flow."""


class LoraConfig(ApiModel):
    """Low-rank updates of only the attention layers (arXiv 2106.09685), published alone, as an adapter."""

    rank: int = 16
    alpha: int = 16


class SampleConfig(ApiModel):
    """Sample clips generated during the run from first frames and captions of the training videos."""

    every_steps: int = 1000
    """0 disables samples."""
    clips: int = 2
    num_inference_steps: int | None = None
    """Defaults to the base model's own value."""


class TrainConfig(ApiModel):
    """A complete training run. The same configuration, data and base model give the same weights on the same
    machine."""

    name: str
    """Name of the new model."""
    base_model: str = "tiny"
    """`tiny`, the service's own model or a published one: `name@revision`, or `name` for the newest revision."""
    method: Literal["finetune", "distill"] = "finetune"
    """`distill`: train a student that needs no guidance and few steps (see `distillation`)."""
    data: DataConfig
    steps: int
    """Optimizer steps."""
    batch_size: int = 80
    """Clips per step, across all processes and accumulated micro-batches."""
    gradient_accumulation_steps: int = 1
    """Number of micro-batches per process and step."""
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    objective: ObjectiveConfig = ObjectiveConfig()
    distillation: DistillConfig = DistillConfig()
    prompt_dropout: float = 0.5
    """Probability of dropping the caption."""
    ema_decay: float = 0.9999
    """Decay of the averaged weights (EMA), which are the ones published."""
    precision: Literal["float32", "bfloat16", "float16"] = "bfloat16"
    """Number type of the computation."""
    gradient_checkpointing: bool = False
    """Uses less memory, for a third more work."""
    train_text_encoder: bool = False
    """Train the text encoder along with the UNet."""
    lora: LoraConfig | None = None
    """Train low-rank updates instead of all weights."""
    seed: int = 0
    log_every_steps: int = 10
    checkpoint_every_steps: int = 500
    samples: SampleConfig = SampleConfig()


class TrainingProgress(ApiModel):
    """Completed optimizer steps and training metrics."""

    step: int
    steps: int
    fraction: float
    message: str
    loss: float
    """Mean since the last report."""
    learning_rate: float
    clips_per_second: float
    waiting_share: float
    """Share of the time spent waiting for data, 0 to 1."""


class TrainingSample(ApiModel):
    """A clip generated during training with the averaged weights after a step."""

    step: int
    video: File
    poster: File


class TrainingFiles(ApiModel):
    """What a training job stores while it runs."""

    dataset: Dataset | None
    checkpoint_step: int | None
    """The step it would resume from if its worker died now."""
    samples: list[TrainingSample]
    """Samples of the newest 50 steps that have any; earlier ones stay in storage with the job's other files."""
    tensorboard: list[File]
    comparison: Comparison | None = None
    """A distilled model compared with its teacher, even if it falls short; null for other trainings."""


class ModelOutput(ApiModel):
    """Output of a succeeded training job: a model name that you can pass to `POST /animate`."""

    model: str
    first_loss: float
    last_loss: float


class TrainJob(ApiModel):
    """A job that trains a model on videos."""

    id: str
    kind: Literal["train"]
    status: JobStatus
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    deadline: datetime | None
    """When the job expires, or is canceled if running, as set with `Cancel-After`."""
    queue_position: int | None
    """1 is next; null once the job runs."""
    eta: datetime | None
    """Expected end. While queued, estimated from the jobs ahead and how long such jobs took; once running, from its own
    steps."""
    attempt: int
    """How many times a worker has started the job."""
    device_ms: int
    """Time for which the job's attempts held a device, including lost ones, excluding the running one. It counts
    towards your usage."""
    error: JobError | None
    metrics: JobMetrics
    urls: Urls
    reused_from: str | None
    """The identical job whose output was reused; the model did not run."""
    data_removed: bool
    """Whether the job's files were deleted, because of their age or with `DELETE`."""
    expires_at: datetime | None
    """When this record expires; null until the job has ended."""
    metadata: dict[str, str]
    """As sent with the request."""
    webhook_url: str | None
    webhook_events: list[str]
    """Events sent to the webhook URL; values may be added."""
    priority: int
    reuse: bool
    preview: bool
    request: TrainConfig
    progress: TrainingProgress | None
    training: TrainingFiles | None
    continues: str | None
    """The training job that this one reruns, and whose last state it started from."""
    output: ModelOutput | None


Job = Annotated[AnimateJob | EditJob | TrainJob, Field(discriminator="kind")]


class JobList(ApiModel):
    """A page of jobs, newest first."""

    jobs: list[Job]
    next_cursor: str | None
    """Pass it as `cursor` to get the next page; null on the last page."""


class Message(ApiModel):
    """The body of a webhook: a job that changed state."""

    type: str
    """One of job.running, job.succeeded, job.failed, job.canceled, job.expired, video.completed, video.failed; values
    may be added."""
    timestamp: datetime
    """When the job entered the state, however late the webhook is sent."""
    data: Job


class MotionScale(ApiModel):
    """The bucket of intensity 0, the increment per intensity, and the motion score at which the strongest bucket
    starts."""

    at_zero: float
    per_intensity: float
    strong_score: float = 0.0
    """Mean SSIM of consecutive frames."""


class Model(ApiModel):
    """A model and its recommended parameters; sizes in pixels."""

    model: str
    """Name to use in requests."""
    name: str
    revision: str | None
    """Null for the model that the service was started with."""
    kind: Literal["model", "adapter"] = "model"
    """An adapter changes its base by low-rank updates; requests use it like any other model."""
    base: Base | None = None
    """The base of an adapter."""
    default: bool
    """Whether this is the default model."""
    created_at: datetime | None = None
    job: str | None = None
    """The training job that created it."""
    base_model: str | None = None
    bytes: int | None = None
    width: int | None = None
    height: int | None = None
    num_inference_steps: int | None = None
    guidance_scale: float | None = None
    motion_scale: MotionScale | None = None
    comparison: Comparison | None = None
    """A distilled model compared with its teacher."""


class ModelList(ApiModel):
    """All models: the service's own first, then published ones, newest first."""

    models: list[Model]


class PresignedUpload(ApiModel):
    """Where to PUT the file and with which headers; after that, jobs can use it."""

    id: str
    url: str
    method: Literal["PUT"] = "PUT"
    headers: dict[str, str]
    expires_at: datetime


class Problem(ApiModel):
    """Why a request failed (RFC 9457)."""

    type: str
    title: str
    """The same for every problem with this code."""
    status: int
    detail: str
    """What was received, what is allowed, and what to do."""
    code: str
    """Machine-readable code of the problem."""
    retryable: bool
    """Whether the same request may succeed later."""
    request_id: str
    """Quote it when reporting the problem."""
    errors: list[FieldProblem] = []
    """The invalid fields, if any."""


class Redelivered(ApiModel):
    """Number of webhooks being resent."""

    redelivered: int


class TrainValidation(ApiModel):
    """A valid request to train a model."""

    kind: Literal["train"]
    jobs_ahead: int
    """Estimated number of jobs that would start before it."""
    starts_at: datetime | None
    """Estimated start; null if no worker is available, or no such job has run yet."""
    run_seconds: float | None
    """Estimated run time; null if no such job has run yet."""
    eta: datetime | None
    """Estimated end; null if start or run time are."""
    metadata: dict[str, str]
    """As sent with the request."""
    webhook_url: str | None
    webhook_events: list[str]
    """Events that would be sent to the webhook URL."""
    priority: int
    reuse: bool
    preview: bool
    request: TrainConfig
    """With its defaults, and the base model pinned to its revision."""


class Upload(ApiModel):
    """A file that your jobs can use until it expires."""

    id: str
    content_type: str
    """Detected from the first bytes."""
    bytes: int
    sha256: str
    expires_at: datetime


class UsageRow(ApiModel):
    """What a group of jobs used. A dimension is null unless the report is grouped by it."""

    day: date | None
    """Day (UTC) on which attempts ended."""
    tenant: str | None
    kind: Literal["animate", "edit", "train"] | None
    model: str | None
    """The model, followed by the adapters of a request, each after ` + `."""
    succeeded: int
    """Jobs that succeeded."""
    failed: int
    """Jobs that failed."""
    canceled: int
    """Jobs that were canceled."""
    expired: int
    """Jobs whose deadline passed while they were queued."""
    attempts: int
    """Attempts that ended, including lost ones."""
    device_seconds: float
    """Time for which attempts held a device, however they ended; to the millisecond."""
    output_seconds: float
    """Length of the videos made."""
    output_bytes: int
    """Size of all files of those videos: video, poster, manifest and so on."""
    cost: float | None
    """Cost of the device time at the prices when it was used; null if the service has no prices."""


class UsageReport(ApiModel):
    """Usage of a period."""

    first_day: date
    last_day: date
    currency: str | None
    """Currency of costs, an ISO 4217 code; null if the service has no prices."""
    rows: list[UsageRow]
    """By day, tenant, kind and model; groups without usage are left out."""
    total: UsageRow
    budget: Budget | None = None
    """This month's budget, whatever the period; null without a budget, and for several tenants."""


Validation = Annotated[AnimateValidation | EditValidation | TrainValidation, Field(discriminator="kind")]
