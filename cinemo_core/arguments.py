"""Arguments of the pipeline's calls, as `cinemo_spec.parameters` declares them: checked, documented, and filled in."""

import inspect
import textwrap
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from cinemo_core.dct import DCTInit
from cinemo_spec.parameters import AnimateParameters, EditParameters, Parameters
from cinemo_spec.ranges import check_declared, texts_of

CALLED = {"frames": "num_frames"}
"""Parameters that the calls name differently, as diffusers does."""
DECLARED = {called: name for name, called in CALLED.items()}
OUTSIDE_CALLS = {
    AnimateParameters: {"adapters", "fps"},
    EditParameters: {"adapters", "fps", "frames", "frame_interval"},
}
"""Parameters that calls do not take: those of reading and writing videos, and adapters, which make another pipeline."""
LINE_LENGTH = 112

P = ParamSpec("P")
T = TypeVar("T")


def as_declared(*declared: type[Parameters]) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Wrap a method to check its arguments by their declarations, and add the declared texts to its docstring.

    The wrapped method raises `InvalidParameter` for an argument that is not allowed. None is not checked: the method
    fills it in.
    """

    def wrap(make: Callable[P, T]) -> Callable[P, T]:
        signature = inspect.signature(make)

        @wraps(make)
        def made(*args: P.args, **kwargs: P.kwargs) -> T:
            given = signature.bind(*args, **kwargs).arguments
            named = {DECLARED.get(name, name): value for name, value in given.items()}
            for each in declared:
                check_declared(each, named, CALLED)
            return make(*args, **kwargs)

        texts = {name: text for each in declared for name, text in texts_of(each).items()}
        made.__doc__ = documented(inspect.cleandoc(make.__doc__ or ""), list(signature.parameters), texts)
        return made

    return wrap


def documented(docstring: str, names: list[str], texts: Mapping[str, str]) -> str:
    """The docstring with the texts of arguments that it does not document itself."""
    left = {name: texts[declared] for name in names if (declared := DECLARED.get(name, name)) in texts}
    lines = [
        textwrap.fill(f"    {name}: {text}", LINE_LENGTH, subsequent_indent=" " * 8)
        for name, text in left.items()
        if f"\n    {name}: " not in docstring
    ]
    before, returns, after = docstring.partition("\n\nReturns:")
    return "\n".join([before, *lines]) + returns + after


def arguments_of(given: AnimateParameters | EditParameters) -> dict[str, Any]:
    """The keyword arguments of `film` or `edit_film` for given parameters.

    Steps and guidance stay None if they are, as the call fills them in from the model's card.
    """
    declared = AnimateParameters if isinstance(given, AnimateParameters) else EditParameters
    arguments: dict[str, Any] = {
        CALLED.get(name, name): getattr(given, name)
        for name in declared.model_fields
        if name not in OUTSIDE_CALLS[declared]
    }
    refinement = DCTInit(arguments.pop("noise_cutoff"), arguments.pop("noise_level"))
    return {
        **arguments,
        "noise_refinement": refinement if given.noise_refinement else None,
        "frame_rate_factor": given.factor,
    }
