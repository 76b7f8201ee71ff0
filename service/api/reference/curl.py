"""Formats an operation's example as a curl command for a POSIX shell."""

import json
import re
import shlex
from typing import Any

from service.api.reference.contract import Operation

KEY = '-H "Authorization: Bearer $CINEMO_API_KEY"'
MAX_LINE_CHARS = 100


def command(base_url: str, operation: Operation, content_type: str = "", example: Any = None) -> str:
    """Return the command with all required parameters and the example of a body."""
    body = body_options(content_type, operation.bodies[content_type]["schema"], example) if content_type else []
    implied = "POST" if body else "GET"
    words = [
        "curl -sS",
        *([f"-X {operation.method}"] if operation.method != implied else []),
        *([KEY] if "security" in operation.spec else []),
        *body,
        shlex.quote(base_url + example_path(operation)),
    ]
    line = " ".join(words)
    return line if len(line) <= MAX_LINE_CHARS else " \\\n  ".join(words)


def example_path(operation: Operation) -> str:
    """Return the path with examples for its parameters."""
    examples = {each["name"]: each["schema"].get("examples", [""])[0] for each in operation.parameters}
    return re.sub(r"\{(\w+)\}", lambda name: str(examples[name[1]]), operation.path)


def body_options(content_type: str, schema: dict[str, Any], example: Any) -> list[str]:
    """Return the options that send a body."""
    if content_type == "multipart/form-data":
        return [form_field(name, value, schema["properties"][name]) for name, value in example.items()]
    if schema.get("format") == "binary":
        return [f"-H 'Content-Type: {content_type}'", f"--data-binary @{example}"]
    return [f"--json {shlex.quote(json.dumps(example))}"]


def form_field(name: str, value: Any, schema: dict[str, Any]) -> str:
    if schema.get("format") == "binary":
        return f"-F {name}=@{value}"
    text = value if isinstance(value, str) else json.dumps(value)
    return f"--form-string {shlex.quote(f'{name}={text}')}"
