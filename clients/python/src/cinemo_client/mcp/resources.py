"""Files of jobs as resources: `cinemo://jobs/<job>/<file>`."""

import base64
import re

from mcp.shared.exceptions import MCPError
from mcp.types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    BlobResourceContents,
    ListResourcesResult,
    ListResourceTemplatesResult,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    ReadResourceResult,
    Resource,
    ResourceTemplate,
    TextResourceContents,
)

from cinemo_client import calls
from cinemo_client.errors import CinemoError, NotFound
from cinemo_client.mcp.answers import FILES, describe_error, files_of, uri_of
from cinemo_client.mcp.backend import Context, content_of, transport_of
from cinemo_client.models import JobStatus

URI = re.compile(rf"cinemo://jobs/([^/]+)/({'|'.join(FILES)})")
LISTED_JOBS = 20
SHOWN = ("video", "poster")
"""Files that are listed; links in results lead to the others."""
MAX_BYTES = 32 * 2**20
"""Of a file sent within a message; larger ones can be downloaded from their URL."""


async def list_resources(context: Context, params: PaginatedRequestParams | None) -> ListResourcesResult:
    """Videos and posters of the newest jobs that succeeded."""
    transport = transport_of(context)
    try:
        page = await transport.call(calls.list_jobs(None, JobStatus.SUCCEEDED, None, None, None, LISTED_JOBS))
    except CinemoError as error:
        raise MCPError(INTERNAL_ERROR, describe_error(error)) from error
    return ListResourcesResult(
        resources=[
            Resource(
                uri=uri_of(job.id, name),
                name=f"{job.id} {name}",
                description=str(getattr(job.request, "prompt", "")),
                mime_type=file.content_type,
                size=file.bytes,
            )
            for job in page.jobs
            for name, file in files_of(job).items()
            if name in SHOWN
        ]
    )


async def list_templates(context: Context, params: PaginatedRequestParams | None) -> ListResourceTemplatesResult:
    """The URI template of resources."""
    names = ", ".join(FILES)
    template = ResourceTemplate(
        uri_template="cinemo://jobs/{job_id}/{file}",
        name="A job's file",
        description=f"A file of a job that succeeded: {names}; not all jobs have all of them.",
    )
    return ListResourceTemplatesResult(resource_templates=[template])


async def read_resource(context: Context, params: ReadResourceRequestParams) -> ReadResourceResult:
    """A file's content.

    Raises:
        MCPError: there is no such file, it is too large for a message, or the service can't be reached.
    """
    match = URI.fullmatch(params.uri)
    if match is None:
        raise MCPError(INVALID_PARAMS, f"{params.uri} is not cinemo://jobs/JOB/FILE, with one of {', '.join(FILES)}")
    job_id, name = match.groups()
    transport = transport_of(context)
    try:
        file = files_of(await transport.call(calls.get_job(job_id))).get(name)
        if file is None:
            raise NotFound(f"{job_id} has no {name}", code="CLIENT.NO_FILE")
        if file.bytes > MAX_BYTES:
            raise MCPError(INVALID_PARAMS, f"{file.bytes} bytes are too many for a message: download {file.url}")
        content = await content_of(file, transport)
    except NotFound as error:
        raise MCPError(INVALID_PARAMS, describe_error(error)) from error
    except CinemoError as error:
        raise MCPError(INTERNAL_ERROR, describe_error(error)) from error
    return ReadResourceResult(contents=[contents(params.uri, file.content_type, content)])


def contents(uri: str, content_type: str, content: bytes) -> TextResourceContents | BlobResourceContents:
    if content_type == "application/json":
        return TextResourceContents(uri=uri, mime_type=content_type, text=content.decode())
    return BlobResourceContents(uri=uri, mime_type=content_type, blob=base64.b64encode(content).decode())
