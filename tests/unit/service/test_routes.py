"""Routes that call their endpoints themselves where FastAPI isn't needed."""

import asyncio
from typing import Annotated

import httpx
import pytest
from fastapi import Depends, FastAPI, Header, Request, Response, Security
from fastapi.security import SecurityScopes

from service.api.routes import DirectRoute, add_routes, new_router

calls: list[str] = []


async def authenticate(request: Request, response: Response, required: SecurityScopes) -> str:
    """Answer with who asks, and the scopes; count the calls, and set a header."""
    calls.append(request.url.path)
    response.headers["x-seen"] = "yes"
    return f"{request.headers['host']} {required.scopes}"


async def read_colour(
    caller: Annotated[str, Depends(authenticate)], colour: Annotated[str, Header(pattern="^[a-z]+$")] = "blue"
) -> str:
    return f"{colour} for {caller}"


Caller = Annotated[str, Security(authenticate, scopes=["draw"])]
Colour = Annotated[str, Security(read_colour, scopes=["draw"])]


@pytest.fixture
def app() -> FastAPI:
    app, router = FastAPI(), new_router("shapes")
    calls.clear()

    @router.get("/shapes/{name}")
    async def get_shape(
        name: str, caller: Caller, colour: Colour, response: Response, request: Request, sides: int = 4
    ) -> Response:
        text = "|".join((name, caller, colour, str(sides), request.method))
        return Response(text, 200, response.headers)

    add_routes(app, router)
    return app


def ask(app: FastAPI, path: str, **headers: str) -> httpx.Response:
    async def answer() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client:
            return await client.get(path, headers=headers)

    return asyncio.run(answer())


def test_a_direct_answer_is_the_one_that_fastapi_gives(app: FastAPI) -> None:
    direct = ask(app, "/shapes/square")
    assert calls == ["/shapes/square"]
    assert direct.text == "square|here ['draw']|blue for here ['draw']|4|GET"
    by_fastapi = ask(app, "/shapes/square?sides=4")
    assert (direct.status_code, direct.content, direct.headers) == (200, by_fastapi.content, by_fastapi.headers)
    assert direct.headers["x-seen"] == "yes"


def test_optional_parameters_are_read_and_checked_if_they_are_sent(app: FastAPI) -> None:
    assert ask(app, "/shapes/square", colour="red").text == "square|here ['draw']|red for here ['draw']|4|GET"
    assert ask(app, "/shapes/square?sides=5").text.endswith("|5|GET")
    assert ask(app, "/shapes/square?sides=many").status_code == 422
    refused = ask(app, "/shapes/square", colour="b l u e")
    assert (refused.status_code, refused.json()["detail"][0]["loc"]) == (422, ["header", "colour"])
    assert calls[-1] == "/shapes/square"


def test_an_endpoint_that_only_fastapi_can_call_is_rejected_at_startup() -> None:
    async def draw(sides: int) -> Response:
        return Response(str(sides))

    with pytest.raises(TypeError, match="more than the path"):
        DirectRoute("/shapes", draw)

    def blocking() -> str:
        return "blue"

    async def paint(colour: Annotated[str, Depends(blocking)]) -> Response:
        return Response(colour)

    with pytest.raises(TypeError, match="not a coroutine function"):
        DirectRoute("/shapes", paint)
