"""Builds the FastAPI app; the only place that wires."""

from fastapi import FastAPI

from service.api import animate, events, health, jobs, models, rerun, train
from service.api.context import Context
from service.api.files import serve_files
from service.api.problems import handle_errors
from service.jobs.queue import JobQueue
from service.jobs.store import connect, open_job_store
from service.jobs.watch import JobWatch
from service.logs import configure_logs
from service.models import ModelRegistry
from service.settings import Settings
from service.storage import LocalStore, open_object_store
from service.tenants import TenantStore

DESCRIPTION = "One photo and a sentence in, a short video out. Errors are RFC 9457 problems."


def create_app(settings: Settings | None = None) -> FastAPI:
    """The app, on the settings of the environment unless others are given."""
    settings = settings or Settings()
    configure_logs()
    storage = open_object_store(settings)
    app = FastAPI(title="Cinemo", version="0.1.0", description=DESCRIPTION)
    app.state.context = Context(
        settings,
        open_job_store(settings),
        JobQueue(settings.redis_url),
        storage,
        ModelRegistry(storage),
        JobWatch(settings.redis_url),
        TenantStore(connect(settings.redis_url)),
    )
    handle_errors(app)
    for route in (animate, train, jobs, events, rerun, models, health):
        app.include_router(route.router)
    if isinstance(storage, LocalStore):
        serve_files(app, storage)
    return app
