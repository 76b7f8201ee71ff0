"""Who calls, by the API key in the Authorization header, and whether they may do what they ask."""

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
    """Whose request it is."""

    tenant: str
    scopes: frozenset[Scope]

    def require(self, scope: Scope) -> None:
        """Raise `ScopeMissing` where the key was not made for this."""
        if not self.scopes & {scope, Scope.ADMIN}:
            raise ScopeMissing(f"this needs a key with the scope {scope}")


def authenticate(context: ContextOf, credentials: Credentials, wanted: SecurityScopes) -> Caller:
    """The caller, with the scopes that the route wants; anybody is the default tenant where no keys are asked for."""
    caller = identify(context, credentials)
    add_log_context(tenant=caller.tenant)
    for scope in wanted.scopes:
        caller.require(Scope(scope))
    return caller


def identify(context: Context, credentials: HTTPAuthorizationCredentials | None) -> Caller:
    if context.settings.auth == "off":
        return Caller(DEFAULT_TENANT, frozenset(Scope))
    key = context.tenants.authenticate(credentials.credentials) if credentials else None
    if key is None:
        raise Unauthenticated("send `Authorization: Bearer` with a key that has not been revoked")
    return Caller(key.tenant, key.scopes)


def count(caller: Caller, context: Context, response: Response) -> None:
    """Count a request that makes work against its tenant's rate (draft-ietf-httpapi-ratelimit-headers)."""
    rate = context.tenants.count_request(caller.tenant)
    if rate:
        response.headers["RateLimit-Policy"] = f'"default";q={rate.limit};w=60'
        response.headers["RateLimit"] = f'"default";r={rate.remaining};t={round(rate.reset_seconds)}'


def counted(context: ContextOf, credentials: Credentials, wanted: SecurityScopes, response: Response) -> Caller:
    """The caller, who has not asked too often, in one step of one thread."""
    caller = authenticate(context, credentials, wanted)
    count(caller, context, response)
    return caller


CallerOf = Annotated[Caller, Depends(authenticate)]
AnimateCaller = Annotated[Caller, Security(counted, scopes=[Scope.ANIMATE])]
TrainCaller = Annotated[Caller, Security(counted, scopes=[Scope.TRAIN])]
CountedCaller = Annotated[Caller, Depends(counted)]
"""One with any key, whose request is counted."""
ModelOwner = Annotated[Caller, Security(authenticate, scopes=[Scope.TRAIN])]
"""One who may delete models, which is not counted."""
