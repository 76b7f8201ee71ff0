"""Routes that reject repeated parameters, and cost a request only what it uses.

FastAPI takes one of several values, and solves every parameter of a route, whether given or not.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Container, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial, wraps
from inspect import iscoroutinefunction, signature
from typing import Any, Protocol, get_origin

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from fastapi.security import SecurityScopes
from fastapi.security.base import SecurityBase
from starlette.types import Scope

from service.api.context import Context
from service.api.fields import invalid_fields, pointer_to
from service.api.openapi import operation_id
from service.contract.problems import FieldError


def new_router(tag: str) -> APIRouter:
    """Create a router for routes with a tag."""
    return APIRouter(tags=[tag], route_class=DirectRoute, generate_unique_id_function=operation_id)


def new_hidden_router() -> APIRouter:
    """Create a router for routes that are not in the OpenAPI document."""
    return APIRouter(include_in_schema=False, route_class=StrictRoute)


def add_routes(app: FastAPI, router: APIRouter) -> None:
    """Add the routes of a router to an app; FastAPI's `include_router` would search them twice per request."""
    app.router.routes.extend(router.routes)


LIST_HEADERS = frozenset((b"accept", b"if-none-match", b"prefer"))
"""Headers that are lists: giving one twice is the same as giving both values with a comma (RFC 9110, section 5.3)."""


class StrictRoute(APIRoute):
    """Rejects a request that gives a query parameter or header more than once, unless it is a list.

    Calls endpoints that are no coroutine functions in threads that tenants share fairly.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint if iscoroutinefunction(endpoint) else in_fair_thread(endpoint), **options)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the function that responds to a request."""
        handle = super().get_route_handler()
        single, headers = single_parameters(self.dependant), headers_of(self.dependant)
        guards = security_calls(self.dependant)

        async def handle_strictly(request: Request) -> Response:
            repeated = repeated_parameters(single, request) if request.scope["query_string"] else []
            repeated += combine_headers(request.scope, headers)
            if repeated:
                # Only who may call the route learns what it takes.
                for guard in guards:
                    await guard.make(request, {}, empty_response(), {})
                errors = [FieldError(pointer_to(name), "is given more than once") for name in repeated]
                raise invalid_fields(*errors)
            return await handle(request)

        return handle_strictly if single or headers else handle


def in_fair_thread(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """Return a coroutine function that calls an endpoint in a thread of the caller's share.

    An endpoint without a caller, such as a probe, stays as it is.
    """
    if not {"context", "caller"} <= signature(endpoint).parameters.keys():
        return endpoint

    @wraps(endpoint)
    async def call(**arguments: Any) -> Any:
        context: Context = arguments["context"]
        tenant: str = arguments["caller"].tenant
        return await context.pools.calling.run(tenant, partial(endpoint, **arguments))

    return call


class DirectRoute(StrictRoute):
    """Calls an endpoint itself, without FastAPI, for requests without a query whose headers are valid.

    This applies to endpoints that are coroutine functions and annotated to return a `Response`. They pass on the
    headers that their dependencies have set.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the function that responds to a request."""
        handle = super().get_route_handler()
        if not iscoroutinefunction(self.endpoint) or signature(self.endpoint).return_annotation is not Response:
            return handle
        call, optional = Call.of(self.dependant), headers_of(self.dependant)

        async def handle_directly(request: Request) -> Response:
            scope = request.scope
            given = None if scope["query_string"] else read_headers(scope["headers"], optional)
            if given is None:
                return await handle(request)
            response: Response = await call.make(request, given, empty_response(), {})
            return response

        return handle_directly


@dataclass(frozen=True)
class Call:
    """A coroutine function with its arguments.

    Attributes:
        fixed: arguments that are the same for all requests: defaults, and the scopes of a security scheme.
        headers: arguments from optional headers, by name, with their fields' keys in what `read_headers` returns.
        path: names of the arguments from the path.
        request: name of the argument that is the request, if there is one.
        response: likewise for the response whose headers it may set.
        calls: arguments that are made by further calls, by name.
        key: equal for calls of which a request makes only one.
    """

    function: Callable[..., Awaitable[Any]]
    fixed: Mapping[str, Any]
    headers: tuple[tuple[str, int], ...]
    path: tuple[str, ...]
    request: str | None
    response: str | None
    calls: tuple[tuple[str, "Call"], ...]
    key: tuple[Any, ...]

    @classmethod
    def of(cls, dependant: Dependant) -> "Call":
        """Return FastAPI's description of a call as a call; raises `TypeError` if only FastAPI can make it."""
        function, optional = dependant.call, (*dependant.query_params, *dependant.header_params)
        if function is None or not (iscoroutinefunction(function) or iscoroutinefunction(type(function).__call__)):
            raise TypeError(f"{function} is not a coroutine function")
        if dependant.body_params or dependant.cookie_params or any(each.field_info.is_required() for each in optional):
            raise TypeError(f"{function} requires more than the path")
        fixed = {each.name: each.default for each in optional}
        scopes = [*(dependant.parent_oauth_scopes or ()), *(dependant.own_oauth_scopes or ())]
        if dependant.security_scopes_param_name:
            fixed[dependant.security_scopes_param_name] = SecurityScopes(scopes)
        return cls(
            function,
            fixed,
            tuple((each.name, id(each)) for each in dependant.header_params),
            tuple(each.name for each in dependant.path_params),
            dependant.request_param_name,
            dependant.response_param_name,
            tuple((each.name or "", cls.of(each)) for each in dependant.dependencies),
            (function, *scopes),
        )

    async def make(self, request: Request, given: Mapping[int, Any], response: Response, made: dict[Any, Any]) -> Any:
        """Make the call, after those that it depends on; `made` has the results of earlier ones."""
        arguments = dict(self.fixed)
        for name, key in self.headers:
            if key in given:
                arguments[name] = given[key]
        for name in self.path:
            arguments[name] = request.path_params[name]
        if self.request is not None:
            arguments[self.request] = request
        if self.response is not None:
            arguments[self.response] = response
        for name, call in self.calls:
            if call.key not in made:
                made[call.key] = await call.make(request, given, response, made)
            arguments[name] = made[call.key]
        return await self.function(**arguments)


class Field(Protocol):
    """FastAPI's description of a parameter."""

    @property
    def alias(self) -> str:
        """The name in the request."""
        ...

    def validate(self, value: Any) -> tuple[Any, list[Any]]:
        """Return the value of the parameter's type, and the errors."""
        ...


def headers_of(dependant: Dependant) -> dict[bytes, list[Field]]:
    """Return the headers that are parameters of a call, or of those that it depends on, with their fields."""
    fields: dict[bytes, list[Field]] = {}
    for each in dependant.header_params:
        fields.setdefault(each.alias.encode(), []).append(each)
    for call in dependant.dependencies:
        for name, more in headers_of(call).items():
            fields.setdefault(name, []).extend(more)
    return fields


def read_headers(
    headers: Iterable[tuple[bytes, bytes]], optional: Mapping[bytes, Sequence[Field]]
) -> dict[int, Any] | None:
    """Return the optional headers that are given, by their fields' IDs; None if one is invalid or repeated."""
    values: dict[int, Any] = {}
    for name, text in headers:
        for field in optional.get(name, ()):
            value, errors = field.validate(text.decode("latin-1"))
            if errors or id(field) in values:
                return None
            values[id(field)] = value
    return values


def single_parameters(dependant: Dependant) -> frozenset[str]:
    """Return the names of a call's query parameters, and of those that it depends on, that are not lists."""
    own = {each.alias for each in dependant.query_params if not is_list(each.field_info.annotation)}
    return frozenset(own.union(*map(single_parameters, dependant.dependencies)))


def is_list(annotation: Any) -> bool:
    """Whether a parameter with this annotation takes several values."""
    origin = get_origin(annotation)
    return isinstance(origin, type) and issubclass(origin, Sequence)


def repeated_parameters(names: frozenset[str], request: Request) -> list[str]:
    """Return which of these names the query has more than once."""
    counts = Counter(name for name, _ in request.query_params.multi_items() if name in names)
    return [name for name, count in counts.items() if count > 1]


def combine_headers(scope: Scope, names: Container[bytes]) -> list[str]:
    """Make one header of each list among `names` that is given more than once; return which others are."""
    counts = Counter(name for name, _ in scope["headers"] if name in names)
    repeated = [name for name, count in counts.items() if count > 1]
    for name in LIST_HEADERS.intersection(repeated):
        values = b", ".join(value for each, value in scope["headers"] if each == name)
        scope["headers"] = [*(each for each in scope["headers"] if each[0] != name), (name, values)]
    return [name.decode() for name in repeated if name not in LIST_HEADERS]


def security_calls(dependant: Dependant) -> list[Call]:
    """Return the calls that say who sent a request, and whether that caller may."""
    below = [call for each in dependant.dependencies for call in security_calls(each)]
    return [Call.of(dependant), *below] if isinstance(dependant.call, SecurityBase) else below


def empty_response() -> Response:
    """Return a response that only has the headers that will be set."""
    response = Response()
    del response.headers["content-length"]
    return response
