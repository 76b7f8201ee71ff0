"""All routes of the dialect. They are not in our OpenAPI document, because OpenAI defines them and has the clients."""

from service.api.routes import new_hidden_router
from service.api.v1 import content, jobs, models, unsupported, videos

router = new_hidden_router()
for part in (unsupported, videos, content, jobs, models):
    router.include_router(part.router)
