"""GET /metrics: metrics for Prometheus, without IDs or tenants, so no API key is required."""

from fastapi.responses import PlainTextResponse
from prometheus_client import REGISTRY, CollectorRegistry, generate_latest

from service.api.context import ContextOf
from service.api.routes import new_router

router = new_router("monitoring")

TEXT_FORMAT = "text/plain; version=0.0.4; charset=utf-8"


EXAMPLE = """# HELP cinemo_queue_jobs Queued jobs.
# TYPE cinemo_queue_jobs gauge
cinemo_queue_jobs{kind="animate"} 3.0
"""


@router.get(
    "/metrics",
    summary="Prometheus metrics",
    response_class=PlainTextResponse,
    responses={200: {"content": {"text/plain": {"example": EXAMPLE}}}},
)
def metrics(context: ContextOf) -> PlainTextResponse:
    """Metrics of this process, and shared ones from Redis that every API reports identically.

    No key is required: block public access at the ingress.
    """
    shared = CollectorRegistry(auto_describe=False)
    shared.register(context.shared_metrics)
    return PlainTextResponse(generate_latest(REGISTRY) + generate_latest(shared), media_type=TEXT_FORMAT)
