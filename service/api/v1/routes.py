"""All routes of the dialect. They are not in our OpenAPI document, because OpenAI defines them and has the clients."""

from fastapi import APIRouter

from service.api.v1 import content, jobs, models, unsupported, videos

router = APIRouter(include_in_schema=False)
for part in (unsupported, videos, content, jobs, models):
    router.include_router(part.router)
