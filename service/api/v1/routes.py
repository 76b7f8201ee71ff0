"""All routes of the dialect. No OpenAPI document of ours has them: the contract is OpenAI's, and its clients exist."""

from fastapi import APIRouter

from service.api.v1 import content, jobs, missing, models, videos

router = APIRouter(include_in_schema=False)
for part in (missing, videos, content, jobs, models):
    router.include_router(part.router)
