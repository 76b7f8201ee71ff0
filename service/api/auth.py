"""Authenticates the caller by API key, checks scopes and counts requests against the rate limit."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated

from fastapi import Depends, Request, Response, Security
from fastapi.openapi.models import HTTPBearer
from fastapi.security import SecurityScopes
from fastapi.security.base import SecurityBase

from service.api.context import Context, context_of
from service.contract.problems import RateLimited, ScopeMissing, Unauthenticated
from service.contract.record import DEFAULT_TENANT
from service.observability.logs import add_log_context
from service.store.tenants import ApiKey, Rate, Scope


@dataclass(frozen=True)
class Caller:
    """The tenant that sent a request, and the scopes of its key."""

    tenant: str
    scopes: frozenset[Scope]

    def require(self, scope: Scope) -> None:
        """Raise `ScopeMissing` if the key lacks a scope."""
        if not self.scopes & {scope, Scope.ADMIN}:
            raise ScopeMissing(f"the key lacks the scope {scope}")

    def with_scopes(self, scopes: Sequence[str]) -> "Caller":
        """Return the caller; raises `ScopeMissing` if its key lacks one of the scopes."""
        for scope in scopes:
            self.require(Scope(scope))
        return self


DEFAULT_CALLER = Caller(DEFAULT_TENANT, frozenset(Scope))
"""Of all requests without authentication."""


class Authentication(SecurityBase):
    """A dependency that gives the caller, who must have the route's scopes.

    It is FastAPI's security scheme and reads the header itself, as each dependency of a dependency costs every request.
    """

    def __init__(self, counts: bool) -> None:
        """`counts` requests against the tenant's rate limit."""
        self.model = HTTPBearer(description="A key created with `cinemo keys create`.")
        self.scheme_name = "ApiKey"
        self._counts = counts

    async def __call__(self, request: Request, response: Response, required: SecurityScopes) -> Caller:
        context = context_of(request)
        if self._counts and context.settings.auth != "off":
            key, rate = await context.lookups.api_key_and_rate(token_of(request), required.scopes)
            caller = admitted(caller_of(key), request, context).with_scopes(required.scopes)
            apply_rate(rate, response)
            return caller
        caller = (await identify(request, context)).with_scopes(required.scopes)
        if self._counts:
            await count_request(caller, context, response)
        return caller


async def identify(request: Request, context: Context) -> Caller:
    """Return the caller. Without authentication it is the default tenant, which has the service to itself."""
    if context.settings.auth == "off":
        return known(DEFAULT_CALLER)
    return admitted(caller_of(await context.lookups.api_key(token_of(request))), request, context)


def token_of(request: Request) -> str:
    """Return the API key that a request was sent with."""
    given = request.headers.getlist("authorization")
    if len(given) > 1:
        raise Unauthenticated("Authorization is given more than once")
    scheme, _, token = "".join(given).partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise unauthenticated()
    return token


def caller_of(key: ApiKey | None) -> Caller:
    """Return the caller with a key that has been looked up."""
    if key is None:
        raise unauthenticated()
    return known(Caller(key.tenant, key.scopes))


def admitted(caller: Caller, request: Request, context: Context) -> Caller:
    """Count the request as in progress until the middleware releases it; returns its caller.

    Raises:
        RateLimited: too many of the tenant's requests are in progress.
    """
    if not hasattr(request.state, "admission"):
        context.request_limiter.acquire(caller.tenant)
        request.state.admission = partial(context.request_limiter.release, caller.tenant)
    return caller


def known(caller: Caller) -> Caller:
    add_log_context(tenant=caller.tenant)
    return caller


def unauthenticated() -> Unauthenticated:
    return Unauthenticated("the API key is missing, unknown or revoked")


async def count_request(caller: Caller, context: Context, response: Response) -> None:
    """Count a request against its tenant's rate limit; raises as `apply_rate`."""
    apply_rate(await context.lookups.count_request(caller.tenant), response)


def apply_rate(rate: Rate | None, response: Response) -> None:
    """Set the headers for a counted request (draft-ietf-httpapi-ratelimit-headers).

    Raises:
        RateLimited: it exceeds the limit.
    """
    if rate and rate.retry_seconds:
        raise RateLimited(f"{rate.limit} requests a minute are allowed", retry_after=rate.retry_seconds)
    if rate:
        response.headers["RateLimit-Policy"] = f'"default";q={rate.limit};w=60'
        response.headers["RateLimit"] = f'"default";r={rate.remaining};t={round(rate.reset_seconds)}'


authenticate, authenticate_and_count = Authentication(counts=False), Authentication(counts=True)
CallerOf = Annotated[Caller, Depends(authenticate)]
AnimateCaller = Annotated[Caller, Security(authenticate_and_count, scopes=[Scope.ANIMATE])]
TrainCaller = Annotated[Caller, Security(authenticate_and_count, scopes=[Scope.TRAIN])]
CountedCaller = Annotated[Caller, Depends(authenticate_and_count)]
"""A caller with any key, whose request is counted."""
ModelOwner = Annotated[Caller, Security(authenticate, scopes=[Scope.TRAIN])]
"""A caller who may delete models; these requests are not counted."""
