"""The baseline of the API: a plain FastAPI app that stores the same bytes in the same Redis.

It checks nothing, and neither stores a photo durably nor queues anything.
"""

import argparse
import uuid
from typing import Annotated, Any

import redis.asyncio
import uvicorn
from fastapi import FastAPI, Form, UploadFile


def create_app(redis_url: str) -> FastAPI:
    """`POST /animate` stores a photo and its form; `GET /jobs/<id>` returns the form."""
    app = FastAPI()
    client: Any = redis.asyncio.Redis.from_url(redis_url)

    @app.post("/animate", status_code=202)
    async def animate(image: UploadFile, prompt: Annotated[str, Form()]) -> dict[str, str]:
        job = {"id": uuid.uuid4().hex, "prompt": prompt, "status": "queued"}
        await client.set(f"photo:{job['id']}", await image.read())
        await client.hset(f"job:{job['id']}", mapping=job)
        return job

    @app.get("/jobs/{job_id}")
    async def get_job(job_id: str) -> dict[str, str]:
        return {name.decode(): value.decode() for name, value in (await client.hgetall(f"job:{job_id}")).items()}

    return app


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--redis-url", required=True)
    arguments = parser.parse_args()
    uvicorn.run(create_app(arguments.redis_url), port=arguments.port)
