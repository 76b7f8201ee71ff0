"""Which test runs the blocks of which page: the first table is for `make docs-test`, the second for others."""

from dataclasses import dataclass
from typing import Literal

from tests.docs.pages import Block, all_pages, blocks_of

RUN = {"sh", "python", "javascript"}
DATA = {"json", "yaml"}
SHOWN = {"text", "mermaid"}


@dataclass(frozen=True)
class Reading:
    """What following a page takes, and what a reader then has.

    Attributes:
        beside: a `make up` that runs already, over a folder or S3; none where the page starts its own, or needs none.
        files: lie in the folder then, and can be read.
        says: regular expressions of what is printed, on the screen or in a terminal of its own.
    """

    beside: Literal["folder", "s3"] | None = None
    files: tuple[str, ...] = ()
    says: tuple[str, ...] = ()


@dataclass(frozen=True)
class Elsewhere:
    """Blocks of a page, by the beginning of their first line, and which target or test runs them, or why none does."""

    page: str
    begins: str
    by: str
    why: str

    def claims(self, block: Block) -> bool:
        return (block.page, block.language) == (self.page, "sh") and block.first_line.startswith(self.begins)


README = Reading(files=("video.mp4", "out.mp4", "moved.webm", "converted"), says=(r'"weight":2', r"^cin_\w+"))
"""By `make readme-test`, beside a `make up` of its own."""

READINGS = {
    "docs/client.md": Reading(
        "folder",
        ("video.mp4", "job_*.mp4", "preview.webp"),
        (
            r"^job\.queued None",
            r"^progress 1\.0",
            r"^preview after step \d+ of 20",
            r"^20 0 20\d\d-.+ \d+\.\d$",
            r"^\{'order': '4711'\} \[\]",
            r"^INPUT\.INVALID \[\('#/motion_intensity'",
        ),
    ),
    "docs/compose.md": Reading("folder", says=(r'"status":"(queued|running)"',)),
    "docs/howto/distill.md": Reading(None, ("fast", "fast.mp4"), (r"^\| network evaluations per clip \| 40 \| 4 \|$",)),
    "docs/howto/fine-tune.md": Reading("folder", ("buckets.png", "mine.mp4")),
    "docs/howto/mcp.md": Reading(
        "folder",
        says=(
            r"^tools: animate edit status cancel models\n0% job_\w+ is (queued|running)",
            r"^job_\w+ succeeded\. The video is .* at http",
            r"^\['text', 'image', 'resource_link'",
            r"^cinemo offers tiny \(default\)",
            r"^cinemo://jobs/job_\w+/video video/mp4",
        ),
    ),
    "docs/howto/openai.md": Reading(
        "folder",
        ("python.mp4", "node.mp4", "curl.mp4"),
        (r"^completed tiny 640x480 1\.92", r"^completed job_\w+", r"^video\.completed job_\w+"),
    ),
    "docs/howto/policy.md": Reading(
        None,
        says=(
            r'"detail": "this service animates without explosions"',
            r"^the photo is too blurred$",
            r"^zoom in\n2$",
            r"^request default ZOOM IN\n(.*\n)*result default zoom in",
            r'^\{"at": .*"decision": "refuse"',
        ),
    ),
    "docs/howto/published-weights.md": Reading(None, ("cinemo", "out.mp4", "video.mp4"), (r"^ok +model\b",)),
    "docs/howto/receive-webhooks.md": Reading(
        "folder", says=(r"^job\.succeeded job_\w+\n(.*\n)*job\.succeeded job_\w+", r"^400\n400", r'"redelivered":')
    ),
    "docs/howto/scale-out.md": Reading("s3", says=(r"^ok +redis\b", r'^cinemo_workers\{queue="animate"\} 2')),
    "docs/howto/usage.md": Reading(
        "folder",
        ("job.json",),
        (
            r'"kind": "animate",\n +"model": "tiny",\n +"succeeded": [1-9]',
            r"^day,model,succeeded,.*\n(20.*\n)*20\d\d-\d\d-\d\d,tiny,",
            r"^day,tenant,succeeded,.*\n20\d\d-\d\d-\d\d,default,",
            r'"code": "BUDGET\.SPENT"',
            r"^[Rr]etry-[Aa]fter: \d+",
        ),
    ),
    "docs/howto/upload.md": Reading("s3", ("video.mp4",), (r'"method": "PUT"',)),
    "docs/library.md": Reading(None, ("out.mp4", "moved.webm", "other", "evaluation.json")),
    "docs/quickstart.md": Reading(
        None,
        ("video.mp4", "pan-2.mp4", "pan-16.mp4"),
        (r'"code": "INPUT\.INVALID"', r"^ok +redis\b", r'^cinemo_jobs_ended_total\{.*"succeeded".*\} 1'),
    ),
    "docs/training.md": Reading(None, ("buckets.png", "out.mp4", "waves", "waves-by-two")),
}

SIGNED = "tests/unit/cinemo_spec/marking/test_credentials.py"
BACKUP = "tests/integration/test_backup.py"
ENGINE = "it takes a Docker engine, and minutes of building"
ELSEWHERE = (
    Elsewhere("README.md", "make demo", "tests/e2e/test_demo.py", "whoever reads this has run `make test`, too"),
    Elsewhere("README.md", "make up", "tests/docs/test_readme.py", "it starts this beside the others, and stops it"),
    Elsewhere("docs/api.md", "curl", "tests/integration/test_reference.py", "each is to be understood by itself"),
    Elsewhere("docs/compose.md", "docker compose up", "make compose-test", ENGINE),
    Elsewhere("docs/compose.md", "docker compose stop", "make compose-test", ENGINE),
    Elsewhere("docs/compose.md", "docker compose down", "make compose-test", ENGINE),
    Elsewhere("docs/compose.md", "docker compose exec", "nobody", f"{ENGINE}; README.md's same command is run"),
    Elsewhere("docs/compose.md", "docker compose --profile observability", "nobody", "it takes two more images"),
    Elsewhere("docs/compose.md", "docker compose --env-file", "nobody", "it takes a GPU and the published weights"),
    Elsewhere("docs/operations.md", "docker compose exec", "make compose-test", ENGINE),
    Elsewhere("docs/operations.md", "# backup", BACKUP, "it is taken while jobs run, and looked through"),
    Elsewhere("docs/operations.md", "# restore", BACKUP, "it begins a new Redis"),
    Elsewhere(
        "docs/library.md",
        "python -m cinemo_core evaluate --cases",
        "tests/unit/cinemo_core/metrics/test_evaluate.py",
        "it takes networks that have to be fetched; the test has small ones",
    ),
    Elsewhere("docs/marking.md", "cinemo verify", SIGNED, "it takes signed files, and others"),
    Elsewhere("docs/marking.md", "cinemo credentials", SIGNED, "it signs by what it makes, too"),
    Elsewhere("docs/marking.md", "docker compose run", "nobody", ENGINE),
    Elsewhere("docs/versioning.md", "cosign verify", "nobody", "it takes a published release"),
    Elsewhere("deploy/chart/README.md", "kubectl create", "nobody", "it takes a cluster; `make lint` renders it"),
)


def elsewhere(block: Block) -> list[Elsewhere]:
    """Which other target or test runs a block."""
    return [each for each in ELSEWHERE if each.claims(block)]


def to_follow(page: str) -> list[Block]:
    """The blocks of a page that its reader types or saves, in order."""
    return [block for block in blocks_of(page) if (block.language in RUN and not elsewhere(block)) or block.title]


def pages_to_follow() -> list[str]:
    return [page for page in all_pages() if to_follow(page)]
