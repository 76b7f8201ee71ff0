"""Authenticates the caller by API key, checks scopes and counts requests against the rate limit."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Response, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes

from service.api.context import Context, ContextOf
from service.contract.problems import ScopeMissing, Unauthenticated
from service.contract.record import DEFAULT_TENANT
from service.observability.logs import add_log_context
from service.store.tenants import Scope

bearer = HTTPBearer(scheme_name="ApiKey", auto_error=False, description="A key created with `cinemo keys create`.")
Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]


@dataclass(frozen=True)
class Caller:
    """The tenant that sent a request, and the scopes of its key."""

    tenant: str
    scopes: frozenset[Scope]

    def require(self, scope: Scope) -> None:
        """Raise `ScopeMissing` if the key lacks a scope."""
        if not self.scopes & {scope, Scope.ADMIN}:
            raise ScopeMissing(f"the key lacks the scope {scope}")


def authenticate(context: ContextOf, credentials: Credentials, required: SecurityScopes) -> Caller:
    """Return the caller, who must have the route's scopes. Without authentication it is the default tenant."""
    caller = identify(context, credentials)
    add_log_context(tenant=caller.tenant)
    for scope in required.scopes:
        caller.require(Scope(scope))
    return caller


def identify(context: Context, credentials: HTTPAuthorizationCredentials | None) -> Caller:
    if context.settings.auth == "off":
        return Caller(DEFAULT_TENANT, frozenset(Scope))
    key = context.tenants.authenticate(credentials.credentials) if credentials else None
    if key is None:
        raise Unauthenticated("the API key is missing, unknown or revoked")
    return Caller(key.tenant, key.scopes)


def count_request(caller: Caller, context: Context, response: Response) -> None:
    """Count a request against its tenant's rate limit (draft-ietf-httpapi-ratelimit-headers)."""
    rate = context.tenants.count_request(caller.tenant)
    if rate:
        response.headers["RateLimit-Policy"] = f'"default";q={rate.limit};w=60'
        response.headers["RateLimit"] = f'"default";r={rate.remaining};t={round(rate.reset_seconds)}'


def authenticate_and_count(
    context: ContextOf, credentials: Credentials, required: SecurityScopes, response: Response
) -> Caller:
    """Authenticate and count in a single dependency, which takes one thread instead of two."""
    caller = authenticate(context, credentials, required)
    count_request(caller, context, response)
    return caller


CallerOf = Annotated[Caller, Depends(authenticate)]
AnimateCaller = Annotated[Caller, Security(authenticate_and_count, scopes=[Scope.ANIMATE])]
TrainCaller = Annotated[Caller, Security(authenticate_and_count, scopes=[Scope.TRAIN])]
CountedCaller = Annotated[Caller, Depends(authenticate_and_count)]
"""A caller with any key, whose request is counted."""
ModelOwner = Annotated[Caller, Security(authenticate, scopes=[Scope.TRAIN])]
"""A caller who may delete models; these requests are not counted."""
