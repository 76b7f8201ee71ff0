"""Examples in the OpenAPI document; a test validates each against its schema."""

from typing import Any

JOB_ID = "job_019abf3c5d7e7f0a9d3b2c1e4f5a6b7c"
BASE_URL = "https://cinemo.example.com"


def file(name: str, content_type: str, size: int) -> dict[str, Any]:
    return {
        "url": f"https://videos.example.com/jobs/{JOB_ID}/1/{name}?signature=5f2b",
        "url_expires_at": "2026-11-24T10:21:57Z",
        "content_type": content_type,
        "bytes": size,
        "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    }


ANIMATE_REQUEST: dict[str, Any] = {
    "prompt": "the camera pans left",
    "negative_prompt": "",
    "motion_intensity": 10,
    "seed": 7,
    "num_inference_steps": 20,
    "guidance_scale": 1.3,
    "noise_refinement": True,
    "model": "tiny",
}

OPTIONS: dict[str, Any] = {
    "metadata": {"order": "4711"},
    "webhook_url": None,
    "webhook_events": ["job.succeeded", "job.failed", "job.canceled", "job.expired"],
    "priority": 0,
    "reuse": True,
    "preview": False,
}

JOB: dict[str, Any] = {
    "id": JOB_ID,
    "status": "queued",
    "created_at": "2026-11-24T09:21:45Z",
    "started_at": None,
    "finished_at": None,
    "deadline": None,
    "queue_position": 1,
    "eta": None,
    "attempt": 0,
    "device_ms": 0,
    "error": None,
    "metrics": {"queue_ms": None, "execution_ms": None, "gpu_ms": None},
    "urls": {
        "self": f"{BASE_URL}/jobs/{JOB_ID}",
        "events": f"{BASE_URL}/jobs/{JOB_ID}/events",
        "cancel": f"{BASE_URL}/jobs/{JOB_ID}/cancel",
    },
    "reused_from": None,
    "data_removed": False,
    "expires_at": None,
    **OPTIONS,
    "progress": None,
    "output": None,
}

ANIMATE_JOB: dict[str, Any] = {**JOB, "kind": "animate", "request": ANIMATE_REQUEST}

SUCCEEDED_JOB: dict[str, Any] = {
    **ANIMATE_JOB,
    "status": "succeeded",
    "started_at": "2026-11-24T09:21:46Z",
    "finished_at": "2026-11-24T09:21:57Z",
    "queue_position": None,
    "attempt": 1,
    "device_ms": 11_240,
    "metrics": {"queue_ms": 900, "execution_ms": 11_200, "gpu_ms": 10_400},
    "expires_at": "2026-12-01T09:21:57Z",
    "progress": {"step": 20, "steps": 20, "fraction": 1.0, "message": "denoising step 20 of 20"},
    "output": {
        "video": {
            **file("video.mp4", "video/mp4", 184_201),
            "width": 144,
            "height": 96,
            "frames": 16,
            "fps": 8.0,
            "seconds": 2.0,
        },
        "poster": file("poster.jpg", "image/jpeg", 9_204),
        "spritesheet": file("spritesheet.jpg", "image/jpeg", 41_380),
        "manifest": file("manifest.json", "application/json", 1_873),
        "credentials": None,
        "digital_source_type": "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia",
        "signing": {"signed": True, "signer": "Example Studio", "job": JOB_ID, "error": None},
        "watermark_id": "5eed1234",
    },
}

CANCELING_JOB: dict[str, Any] = {
    **SUCCEEDED_JOB,
    "status": "canceling",
    "finished_at": None,
    "metrics": {"queue_ms": 900, "execution_ms": None, "gpu_ms": None},
    "expires_at": None,
    "progress": {"step": 12, "steps": 20, "fraction": 0.6, "message": "denoising step 12 of 20"},
    "output": None,
}

EDIT_REQUEST: dict[str, Any] = {
    "prompt": "the camera pans left",
    "num_inference_steps": 50,
    "frames": 16,
    "frame_interval": 3,
    "model": "tiny",
}

EDIT_JOB: dict[str, Any] = {**JOB, "kind": "edit", "request": EDIT_REQUEST}

UPLOAD_ID = "upl_019abf3c5d7e7f0a9d3b2c1e4f5a6b7c"

UPLOAD: dict[str, Any] = {
    "id": UPLOAD_ID,
    "content_type": "image/jpeg",
    "bytes": 204_311,
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "expires_at": "2026-11-25T09:21:45Z",
}

PRESIGN_REQUEST: dict[str, Any] = {"content_type": "video/mp4", "bytes": 8_412_309}

REDELIVER_REQUEST: dict[str, Any] = {
    "after": "2026-11-24T08:00:00Z",
    "before": "2026-11-24T12:00:00Z",
    "status": "failed",
}

PRESIGNED_UPLOAD: dict[str, Any] = {
    "id": UPLOAD_ID,
    "url": f"https://videos.example.com/uploads/acme/{UPLOAD_ID}?signature=5f2b",
    "method": "PUT",
    "headers": {"Content-Type": "video/mp4", "Content-Length": "8412309"},
    "expires_at": "2026-11-25T09:21:45Z",
}

TRAIN_REQUEST: dict[str, Any] = {
    "name": "waves",
    "base_model": "tiny",
    "data": {"source": "datasets/acme/waves", "width": 96, "height": 64},
    "steps": 2000,
    "batch_size": 8,
    "precision": "float32",
}

VALIDATION: dict[str, Any] = {
    "jobs_ahead": 2,
    "starts_at": "2026-11-24T09:22:07Z",
    "run_seconds": 11.2,
    "eta": "2026-11-24T09:22:18Z",
    **OPTIONS,
}

TRAIN_JOB: dict[str, Any] = {**JOB, "kind": "train", "request": TRAIN_REQUEST, "training": None, "continues": None}

EVENT: dict[str, Any] = {
    "id": "1795512106000-0",
    "type": "progress",
    "at": "2026-11-24T09:21:46Z",
    "data": {"step": 12, "steps": 20, "fraction": 0.6, "message": "denoising step 12 of 20"},
}

DELIVERY: dict[str, Any] = {
    "id": "msg_5f2c0a9be1d48c377f3b0d6a24e9f1c8b7065d3e",
    "type": "job.succeeded",
    "url": "https://example.com/hook",
    "endpoint": "ep_5f2c0a9be1d4",
    "status": "delivered",
    "created_at": "2026-11-24T09:21:57Z",
    "next_attempt_at": None,
    "attempts": [
        {"at": "2026-11-24T09:21:57Z", "status": 500, "latency_ms": 31, "error": "answered 500"},
        {"at": "2026-11-24T09:22:02Z", "status": 204, "latency_ms": 24, "error": None},
    ],
}

MODEL: dict[str, Any] = {
    "model": "waves@3f0c9a5b21de",
    "name": "waves",
    "revision": "3f0c9a5b21de",
    "default": False,
    "created_at": "2026-11-24T09:21:57Z",
    "job": JOB_ID,
    "base_model": "tiny",
    "bytes": 9_412_304,
    "width": 144,
    "height": 96,
    "num_inference_steps": 20,
    "guidance_scale": 1.3,
    "motion_scale": {"at_zero": 0.0, "per_intensity": 1.0, "strong_score": 0.4},
}

BUDGET: dict[str, Any] = {
    "tenant": "acme",
    "month": "2026-11",
    "device_seconds": 28_803.2,
    "max_device_seconds": 36_000.0,
    "cost": 28.8032,
    "max_cost": None,
    "currency": "EUR",
    "renews_at": "2026-12-01T00:00:00Z",
}

USAGE: dict[str, Any] = {
    "tenant": None,
    "kind": None,
    "model": None,
    "succeeded": 12,
    "failed": 0,
    "canceled": 1,
    "expired": 0,
    "attempts": 13,
    "device_seconds": 145.06,
    "output_seconds": 24.0,
    "output_bytes": 2_310_044,
    "cost": 0.14506,
}

RESPONSE_EXAMPLES: dict[str, Any] = {"get_job": SUCCEEDED_JOB, "cancel_job": CANCELING_JOB, "remove_job": CANCELING_JOB}
"""By operation, where the component's example doesn't fit."""

COMPONENT_EXAMPLES: dict[str, list[Any]] = {
    "AnimateJob": [ANIMATE_JOB, SUCCEEDED_JOB],
    "EditJob": [EDIT_JOB],
    "TrainJob": [TRAIN_JOB],
    "AnimateValidation": [{**VALIDATION, "kind": "animate", "request": ANIMATE_REQUEST}],
    "EditValidation": [{**VALIDATION, "kind": "edit", "request": EDIT_REQUEST}],
    "TrainValidation": [{**VALIDATION, "kind": "train", "request": TRAIN_REQUEST}],
    "Upload": [UPLOAD],
    "PresignedUpload": [PRESIGNED_UPLOAD],
    "JobList": [{"jobs": [ANIMATE_JOB], "next_cursor": None}],
    "EventList": [{"events": [EVENT]}],
    "Message": [{"type": "job.succeeded", "timestamp": "2026-11-24T09:21:57Z", "data": SUCCEEDED_JOB}],
    "DeliveryList": [{"deliveries": [DELIVERY]}],
    "Redelivered": [{"redelivered": 12}],
    "Model": [MODEL],
    "ModelList": [{"models": [MODEL]}],
    "BudgetMessage": [{"type": "usage.budget_warning", "timestamp": "2026-11-24T09:21:57Z", "data": BUDGET}],
    "UsageReport": [
        {
            "first_day": "2026-11-24",
            "last_day": "2026-11-24",
            "currency": "EUR",
            "rows": [{**USAGE, "day": "2026-11-24"}],
            "total": {**USAGE, "day": None},
            "budget": BUDGET,
        }
    ],
    "Health": [{"status": "ok"}],
}
