"""Options of the command line, as `cinemo_spec.parameters` declares them."""

import inspect
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Annotated, Any, TypeVar, get_type_hints

import typer
from pydantic import ValidationError

from cinemo_core.console import report_errors
from cinemo_spec.errors import InvalidParameter
from cinemo_spec.parameters import Parameters
from cinemo_spec.ranges import check_declared, texts_of
from cinemo_spec.wording import in_words

SHORT = {"num_inference_steps": "--steps", "adapters": "--adapter"}
"""Short option names."""

IN_TEXT = {"adapters"}
"""Parameters with several elements, each written as text."""

P = TypeVar("P", bound=Parameters)


def with_options(**declared: type[Parameters]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add an option for each parameter to a command, which receives the checked models as the arguments named here."""

    def wrap(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def run(**values: Any) -> None:
            given = {}
            for argument, each in declared.items():
                asked = {name: values.pop(name) for name in each.model_fields}
                with report_errors():
                    check_declared(each, asked, {})
                    given[argument] = made_of(each, asked)
            command(**given, **values)

        own = [each for name, each in inspect.signature(command).parameters.items() if name not in declared]
        parameters = [*own, *(option for each in declared.values() for option in options(each))]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {each.name: each.annotation for each in parameters}
        return run

    return wrap


def made_of(declared: type[P], asked: dict[str, Any]) -> P:
    """The parameters; raises `InvalidParameter` for the first element of a list that is not allowed."""
    try:
        return declared(**asked)
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidParameter(f"{first['loc'][0]}: {in_words(first)}") from error


def options(declared: type[Parameters]) -> Iterator[inspect.Parameter]:
    """The options, as parameters of a function that Typer understands."""
    texts, types = texts_of(declared), get_type_hints(declared)
    for name, field in declared.model_fields.items():
        kind = types[name] if name not in IN_TEXT else list[str]
        yield inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=field.default,
            annotation=Annotated[kind, option(name, texts[name])],
        )


def option(name: str, text: str) -> Any:
    """The option of a parameter, with its text formatted for a terminal."""
    names = [f"--{name.replace('_', '-')}", SHORT[name]] if name in SHORT else []
    return typer.Option(*names, help=text.replace("`", ""))


def option_of(declared: type[Parameters], name: str) -> Any:
    """The option of a single parameter, for a command without the others."""
    return option(name, texts_of(declared)[name])
