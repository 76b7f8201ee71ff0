"""Reuses the output of an identical job: equal input, request (including the seed) and model give equal frames."""

import hashlib
import json
from importlib.metadata import version
from pathlib import PurePosixPath
from typing import Any

import structlog

from cinemo_core import CinemoPipeline
from cinemo_spec.marking.keys import SigningKey
from service.contract.problems import ObjectNotFound
from service.contract.record import Job, JobOutput, Progress, StoredFile
from service.contract.requests import AnimateRequest, EditRequest
from service.contract.storage_keys import attempt_prefix
from service.storage import ObjectStore, store_bytes
from worker.app import settings
from worker.dependencies import job_store
from worker.outcome import require_held

log = structlog.get_logger()


def result_digest(job: Job, pipe: CinemoPipeline, storage: ObjectStore, key: SigningKey | None) -> str | None:
    """SHA-256 of everything that determines a job's files, except the time and job in their credentials.

    None if an input's checksum is unknown.
    """
    keys = [key for key in (job.input_key, job.video_key) if key]
    inputs = [found.sha256 if (found := storage.head(key)) else "" for key in keys]
    if not all(inputs):
        return None
    signing = key and [key.fingerprint, settings.signing_include_prompt, settings.signing_include_photo]
    marking = [settings.marking, signing, settings.watermark_id]
    # A service with a policy for results must not reuse a video that no policy has approved.
    marking += ["approved"] if settings.policy_results else []
    facts = [job.kind, inputs, job.request.model_dump(mode="json"), pipe.digest, version("cinemo"), marking]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def reuse_output(job: Job, digest: str, storage: ObjectStore) -> tuple[Job, JobOutput] | None:
    """Copy the output of an identical job; returns that job and the copy, or None if there is none."""
    earlier = job_store().queries.with_result(job.tenant, digest)
    if earlier is None or not isinstance(earlier.output, JobOutput):
        return None
    try:
        output = copy(earlier, earlier.output, job, storage)
    except ObjectNotFound:
        # It is being deleted.
        return None
    assert isinstance(job.request, AnimateRequest | EditRequest)
    steps = job.request.total_steps
    progress = Progress(step=steps, steps=steps, fraction=1, message=f"the output of {earlier.id}")
    require_held(job_store().attempts.report_progress(job, progress))
    log.info("output reused", of=earlier.id)
    return earlier, output


def copy(earlier: Job, output: JobOutput, job: Job, storage: ObjectStore) -> JobOutput:
    """Copy the files, with a manifest that states their origin; raises `ObjectNotFound`.

    The copies are identical, so their credentials stay valid and name the job that was signed.
    """
    prefix = attempt_prefix(job.id, job.attempt)

    def copied(file: StoredFile) -> dict[str, Any]:
        return {**file.model_dump(), "key": storage.copy(file.key, prefix + PurePosixPath(file.key).name).key}

    files = {"video": copied(output.video), "poster": copied(output.poster)}
    files |= {name: copied(file) for name in ("spritesheet", "credentials") if (file := getattr(output, name))}
    manifest: dict[str, Any] = json.loads(storage.get_bytes(output.manifest.key))
    manifest |= {
        "job": job.id,
        "attempt": job.attempt,
        "input": job.input_key,
        "video": job.video_key,
        "reused_from": earlier.id,
    }
    manifest["files"] = {name: {**manifest["files"][name], "key": file["key"]} for name, file in files.items()}
    manifest_bytes = json.dumps(manifest, indent=2).encode()
    stored = store_bytes(storage, f"{prefix}manifest.json", manifest_bytes, "application/json")
    return output.model_copy(
        update={
            "video": type(output.video).model_validate(files.pop("video")),
            "manifest": StoredFile(**vars(stored)),
            **{name: StoredFile.model_validate(file) for name, file in files.items()},
        }
    )
