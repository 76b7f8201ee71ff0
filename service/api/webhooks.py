"""GET /jobs/<id>/deliveries: a job's webhook deliveries; POST …/redeliver: resend them."""

from typing import Annotated

from fastapi import APIRouter, Query

from service.api.auth import CallerOf, CountedCaller
from service.api.bodies import BODY_PROBLEMS, JSON, IncomingOf, read_json
from service.api.context import ContextOf
from service.api.fields import request_schema, validate
from service.api.jobs import JobId, find_job
from service.api.openapi import problems
from service.api.routes import new_router
from service.contract.deliveries import Delivery, DeliveryStatus
from service.contract.problems import NotFound, RateLimited
from service.contract.schemas import webhooks as schemas
from service.contract.schemas.examples import REDELIVER_REQUEST

router = new_router("webhooks")

outgoing = APIRouter()
"""Webhooks that the service sends, for the OpenAPI document."""

CONTENT = {JSON: {"schema": request_schema(schemas.RedeliverRequest), "example": REDELIVER_REQUEST}}

Status = Annotated[DeliveryStatus | None, Query(description="Filter by status.")]


@router.get("/jobs/{job_id}/deliveries", summary="List a job's webhook deliveries", responses=problems(NotFound))
def list_deliveries(job_id: JobId, context: ContextOf, caller: CallerOf) -> schemas.DeliveryList:
    """Each webhook delivery of the job with its attempts, available as long as the job's record is kept."""
    find_job(job_id, context, caller)
    return schemas.DeliveryList(deliveries=[view_delivery(each) for each in context.outbox.of_job(job_id)])


@router.post(
    "/jobs/{job_id}/redeliver",
    status_code=202,
    summary="Redeliver a job's webhooks",
    responses=problems(NotFound, RateLimited),
)
def redeliver_job(
    job_id: JobId, context: ContextOf, caller: CountedCaller, status: Status = None
) -> schemas.Redelivered:
    """Resend the webhooks with the same IDs, and start the retry schedule over.

    Deliveries to your endpoints are sent immediately; those to the job's own URL are sent when its backoff ends.
    """
    find_job(job_id, context, caller)
    return schemas.Redelivered(redelivered=context.outbox.redeliver_job(job_id, status))


@router.post(
    "/webhooks/redeliver",
    status_code=202,
    summary="Redeliver webhooks of a period",
    responses=problems(*BODY_PROBLEMS, RateLimited),
    openapi_extra={"requestBody": {"required": True, "content": CONTENT}},
)
async def redeliver(incoming: IncomingOf, context: ContextOf, caller: CountedCaller) -> schemas.Redelivered:
    """Resend all your webhooks from a period, such as an outage of your receiver, with the same IDs and in each job's
    order.

    A period with more than 10,000 webhooks is rejected; split it.
    """
    body = await read_json(incoming)
    request = validate(schemas.RedeliverRequest, body.fields, typed=False)
    count = await context.pools.calling.run(
        caller.tenant, context.outbox.redeliver, caller.tenant, request.after, request.before, request.status
    )
    return schemas.Redelivered(redelivered=count)


@outgoing.post("job", tags=["webhooks"], summary="A job changed state", operation_id="job_changed")
def job_changed(message: schemas.Message) -> None:
    """Signed per Standard Webhooks (https://www.standardwebhooks.com); see docs/webhooks.md."""


@outgoing.post("usage", tags=["webhooks"], summary="A budget is nearly used up", operation_id="budget_nearly_spent")
def budget_nearly_spent(message: schemas.BudgetMessage) -> None:
    """Sent to endpoints with the event `usage.budget_warning`; see docs/howto/usage.md."""


def view_delivery(delivery: Delivery) -> schemas.Delivery:
    fields = delivery.model_dump(include=set(schemas.Delivery.model_fields))
    return schemas.Delivery(**{**fields, "endpoint": delivery.endpoint or None})
