"""An operation's example as a command for a POSIX shell."""

import json
import re
import shlex
from typing import Any

from service.api.reference.contract import Operation

KEY = '-H "Authorization: Bearer $CINEMO_API_KEY"'
LONGEST_LINE = 100


def command(base_url: str, operation: Operation, content_type: str = "", example: Any = None) -> str:
    """curl with all that has to be given, and the example of a body; a file is named by its example."""
    sends = body(content_type, operation.bodies[content_type]["schema"], example) if content_type else []
    implied = "POST" if sends else "GET"
    words = [
        "curl -sS",
        *([f"-X {operation.method}"] if operation.method != implied else []),
        *([KEY] if "security" in operation.known else []),
        *sends,
        shlex.quote(base_url + filled(operation)),
    ]
    line = " ".join(words)
    return line if len(line) <= LONGEST_LINE else " \\\n  ".join(words)


def filled(operation: Operation) -> str:
    """The path with examples in place of its parameters."""
    examples = {each["name"]: each["schema"].get("examples", [""])[0] for each in operation.parameters}
    return re.sub(r"\{(\w+)\}", lambda name: str(examples[name[1]]), operation.path)


def body(content_type: str, schema: dict[str, Any], example: Any) -> list[str]:
    """The options that send it."""
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
