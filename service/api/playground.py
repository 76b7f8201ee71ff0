"""GET /: the playground, a web page that uses the public API and nothing else.

Its controls follow from `cinemo_spec.parameters`. The template places some of them, whose sliders get their range,
default and text; all others are listed under "More settings".
"""

import re
from collections.abc import Iterator
from html import escape
from string import Template
from typing import Any

from cinemo_spec.parameters import MAX_ADAPTERS, AnimateParameters
from cinemo_spec.ranges import schema_of, texts_of
from service.api.assets import HTML, Asset
from service.contract.settings import Settings
from service.store.cards import FALLBACK_CARD, default_values, local_card

MAX_SLIDER_STEPS = 100
"""A slider up to the limit would be too coarse."""
PLACED_FIELDS = re.compile(r'data-field="(\w+)"')
BOOLEAN_LABELS = {True: "yes", False: "no"}


def playground(template: Asset, settings: Settings) -> Asset:
    """Fill in controls, limits and defaults."""
    page = template.body.decode()
    schemas, placed = parameters(settings), set(PLACED_FIELDS.findall(page))
    more = "\n".join(control(name, schema) for name, schema in schemas.items() if name not in placed)
    filled = {name: slider(schema) for name, schema in schemas.items() if schema["type"] in ("integer", "number")}
    limits = {"max_image_bytes": settings.max_image_bytes, "max_adapters": MAX_ADAPTERS}
    text = Template(page).substitute(filled, **limits, more_settings=more)
    return Asset(text.encode(), HTML)


def parameters(settings: Settings) -> dict[str, dict[str, Any]]:
    """Return the JSON schema of each parameter with a single value, with the service's own defaults and limits."""
    numbers = default_values(local_card(settings.model) or FALLBACK_CARD, settings)
    texts = texts_of(AnimateParameters)
    single = {name: schema for name, schema in schema_of(AnimateParameters).items() if schema["type"] != "array"}
    schemas = {name: {**schema, "text": texts[name]} for name, schema in single.items()}
    for name, value in numbers.items():
        schemas[name]["default"] = value
    steps = numbers["num_inference_steps"]
    schemas["num_inference_steps"]["maximum"] = max(steps, min(settings.max_num_inference_steps, MAX_SLIDER_STEPS))
    return schemas


def slider(schema: dict[str, Any]) -> str:
    """Return the attributes of a slider: range, default and text."""
    low, high, value = schema["minimum"], schema["maximum"], schema["default"]
    return f'min="{low}" max="{high}" value="{value}" title="{escape(plain(schema["text"]))}"'


def control(name: str, schema: dict[str, Any]) -> str:
    """Return the control of a parameter that the template doesn't place: a select, or a text field."""
    kind = {"boolean": "boolean", "string": "text"}.get(schema["type"], "number")
    hint, problem = f"{name}-hint", f"{name}-problem"
    about = f'id="{name}" data-optional="{kind}" aria-describedby="{hint} {problem}"'
    options = "".join(choices(schema))
    default = "" if schema["default"] is None else escape(str(schema["default"]))
    field = (
        f"<select {about}>{options}</select>"
        if options
        else f'<input type="text" {about} value="{default}" placeholder="automatic" autocomplete="off">'
    )
    return f"""<div class="field" data-field="{name}">
          <label for="{name}">{name.replace("_", " ").capitalize()}</label>
          {field}
          <p id="{hint}" class="hint">{escape(plain(schema["text"]))}</p>
          <p id="{problem}" class="problem" hidden></p>
        </div>"""


def choices(schema: dict[str, Any]) -> Iterator[str]:
    """Yield the options of a select, the default selected; none if any value can be typed."""
    values = schema.get("enum", (True, False) if schema["type"] == "boolean" else ())
    for value in values:
        written = str(value).lower() if isinstance(value, bool) else value
        selected = " selected" if value == schema["default"] else ""
        yield f'<option value="{written}"{selected}>{BOOLEAN_LABELS.get(value, value)}</option>'


def plain(text: str) -> str:
    return text.replace("`", "")
