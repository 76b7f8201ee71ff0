"""Builds the FastAPI app; the only place that wires components together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

from cinemo_spec import __version__
from service.api import (
    animate,
    edit,
    events,
    health,
    jobs,
    metrics,
    models,
    previews,
    remove,
    rerun,
    train,
    uploads,
    usage,
    webhooks,
)
from service.api.context import Context
from service.api.cors import cors_options
from service.api.cross_site import CrossSiteMiddleware
from service.api.draining import DrainingMiddleware
from service.api.files import serve_files
from service.api.heads import HeadMiddleware
from service.api.memory_budget import MemoryBudget
from service.api.middleware import RequestMiddleware
from service.api.openapi import TAGS, complete_document, operation_id
from service.api.pages import serve_pages
from service.api.problems import handle_errors
from service.api.routes import add_routes
from service.api.shared_metrics import SharedMetrics
from service.api.slashes import SlashMiddleware
from service.api.tenant_limiter import RequestLimiter
from service.api.thread_pools import open_thread_pools
from service.api.v1 import routes as v1
from service.api.wait_limiter import WaitLimiter
from service.contract.environment import require_settings
from service.contract.problems import QueueUnavailable
from service.contract.settings import Settings
from service.contract.views import base_url
from service.observability.logs import configure_logs
from service.observability.tracing import configure_tracing
from service.outbound.client import open_outbound
from service.policy.hook import open_policy
from service.storage import LocalStore, open_request_storage
from service.storage.models import ModelRegistry
from service.store.api_jobs import open_api_jobs
from service.store.async_scripts import AsyncScripts
from service.store.cards import Cards
from service.store.circuit import Circuit
from service.store.connections import connect_for_requests
from service.store.lookups import Lookups
from service.store.queue import JobQueue
from service.store.quotas import limits_of_tenants
from service.store.uploads import Uploads
from service.store.watch import JobWatch
from service.store.workers import WorkerRegistry
from service.webhooks.outbox import Outbox

log = structlog.get_logger()

DESCRIPTION = "Turns a photo and a sentence into a short video. Errors are RFC 9457 problems."


@asynccontextmanager
async def start(app: FastAPI) -> AsyncIterator[None]:
    """Fail if Redis could lose jobs. If it doesn't respond yet, start anyway: `/readyz` reports it."""
    context: Context = app.state.context
    try:
        context.jobs.check()
    except QueueUnavailable as problem:
        log.warning("started without Redis", error=problem.detail)
    yield


def create_app(settings: Settings | None = None) -> FastAPI:
    """Create the app, with settings from the environment unless given."""
    settings = settings or require_settings()
    configure_logs(settings.log_level, settings.log_format)
    configure_tracing("cinemo-api")
    storage = open_request_storage(settings)
    circuit = Circuit()
    client = connect_for_requests(settings.redis_url, settings.request_redis_seconds, circuit)
    scripts = AsyncScripts(settings.redis_url, settings.request_redis_seconds, circuit)
    app = FastAPI(
        title="Cinemo",
        version=__version__,
        description=DESCRIPTION,
        lifespan=start,
        openapi_tags=TAGS,
        servers=[{"url": base_url(settings)}],
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=operation_id,
        separate_input_output_schemas=False,
        webhooks=webhooks.outgoing,
    )
    app.state.context = Context(
        settings,
        open_api_jobs(settings, client),
        JobQueue(settings.broker, settings.request_redis_seconds),
        storage,
        ModelRegistry(storage),
        Cards(client),
        JobWatch(settings.redis_url, scripts),
        Lookups(scripts),
        Outbox(client),
        Uploads(storage, client, settings.upload_seconds, limits_of_tenants(settings)),
        open_outbound(settings),
        SharedMetrics(client),
        WorkerRegistry(client),
        # Without API keys there is only one tenant, which may use the whole budget.
        MemoryBudget(settings.max_bodies_bytes, settings.max_bodies_bytes // (1 if settings.auth == "off" else 2)),
        open_thread_pools(settings),
        RequestLimiter.leaving_half(settings.max_connections),
        WaitLimiter(settings.max_waiting_calls),
        open_policy(settings),
    )
    handle_errors(app)
    app.add_middleware(HeadMiddleware)
    app.add_middleware(SlashMiddleware)
    if settings.auth == "off":
        app.add_middleware(CrossSiteMiddleware, settings=settings)
    app.add_middleware(RequestMiddleware)
    app.add_middleware(DrainingMiddleware, watch=app.state.context.watch)
    if settings.cors_origins:
        app.add_middleware(CORSMiddleware, **cors_options(settings))
    jobs_routes = (animate, edit, train, jobs, events, previews, rerun, remove)
    for route in (*jobs_routes, uploads, webhooks, models, usage, health, metrics, v1):
        add_routes(app, route.router)
    if isinstance(storage.store, LocalStore):
        serve_files(app, storage.store)
    serve_pages(app, settings, storage.public_url)
    complete_document(app)
    return app
