"""Where the files of jobs and uploads are in the storage, and the names under which quotas count them.

A prefix ends with a slash. The scripts in `service/store/lua` that count items name them likewise.
"""


def input_prefix(job_id: str) -> str:
    """A job's picture and its source video."""
    return f"inputs/{job_id}/"


def input_owner(key: str) -> str:
    """The job that an input was stored for; others may share it."""
    return key.split("/")[1]


def output_prefix(job_id: str) -> str:
    """The files of all attempts at a job."""
    return f"jobs/{job_id}/"


def attempt_prefix(job_id: str, attempt: int) -> str:
    """The files of one attempt."""
    return f"{output_prefix(job_id)}{attempt}/"


def checkpoint_prefix(job_id: str) -> str:
    """All states of a training job."""
    return f"checkpoints/{job_id}/"


def upload_key(tenant: str, upload_id: str) -> str:
    """A client's upload."""
    return f"uploads/{tenant}/{upload_id}"


def upload_of(key: str) -> tuple[str, str]:
    """The tenant and ID of an upload."""
    _, tenant, upload_id = key.split("/")
    return tenant, upload_id


def upload_item(upload_id: str) -> str:
    """An upload as a quota's item."""
    return f"uploads/{upload_id}"


def item_of(prefix: str) -> str:
    """All files below a prefix as a quota's item."""
    return prefix.rstrip("/")
