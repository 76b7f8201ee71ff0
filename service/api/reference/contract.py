"""What an OpenAPI document holds, found where it stands."""

import json
from dataclasses import dataclass
from typing import Any

from service.api.reference.words import Schema, component_of
from service.contract.failures import SCHEMA_KEY
from service.contract.problems import PROBLEM_TYPE


@dataclass(frozen=True)
class Operation:
    """`path` is empty where the service calls a client; `known` is what the document says of it."""

    method: str
    path: str
    known: dict[str, Any]

    @property
    def summary(self) -> str:
        return str(self.known["summary"])

    @property
    def parameters(self) -> list[dict[str, Any]]:
        return list(self.known.get("parameters", ()))

    @property
    def bodies(self) -> dict[str, dict[str, Any]]:
        """What may be sent, by content type."""
        return dict(self.known.get("requestBody", {}).get("content", {}))

    @property
    def key(self) -> str:
        """Which API key it asks for."""
        if "security" not in self.known:
            return "no key"
        scopes = [scope for each in self.known["security"] for names in each.values() for scope in names]
        return f"scope `{'`, `'.join(scopes)}`" if scopes else "any key"


class Contract:
    """An OpenAPI document."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.title: str = document["info"]["title"]
        self.description: str = document["info"]["description"]
        self.tags: list[dict[str, str]] = document["tags"]
        self.headers: dict[str, dict[str, Any]] = document["components"]["headers"]
        self.components: dict[str, Schema] = document["components"]["schemas"]
        self.responses: dict[str, dict[str, Any]] = document["components"]["responses"]
        called = [(path, item) for path, item in document["paths"].items()]
        calling = [("", item) for item in document["webhooks"].values()]
        self.operations = [
            Operation(method.upper(), path, known) for path, item in called + calling for method, known in item.items()
        ]

    def example(self, content: dict[str, Any]) -> Any:
        """Of a body: its own, its schema's, or that of the first of the schema's alternatives."""
        if "example" in content:
            return content["example"]
        schema = self.components.get(component_of(content["schema"]), content["schema"])
        return schema["examples"][0] if "examples" in schema else self.example({"schema": schema["oneOf"][0]})

    def problems(self) -> dict[str, dict[str, Any]]:
        """Every problem by its code, as the examples of the answers have it; sorted by status and code."""
        found: dict[str, dict[str, Any]] = {}
        answers = [response for each in self.operations for response in each.known["responses"].values()]
        for response in [*answers, *self.responses.values()]:
            found |= response.get("content", {}).get(PROBLEM_TYPE, {}).get("examples", {})
        return dict(sorted(found.items(), key=lambda each: (each[1]["value"]["status"], each[0])))

    def failures(self) -> dict[str, dict[str, Any]]:
        """What is said of the codes that a job's error can have, by code."""
        return dict(self.components["JobError"]["properties"]["code"][SCHEMA_KEY])

    def objects(self) -> dict[str, str]:
        """Components with fields that answers and webhooks hold, each with the heading that explains it, by name.

        One that a call takes the fields of is explained with the call, and so is all that it holds.
        """
        answers = [response for operation in self.operations for response in operation.known["responses"].values()]
        sent = [operation.bodies for operation in self.operations if not operation.path]
        found: dict[str, str] = {}
        waiting = references([answers, sent])
        while waiting:
            name = waiting.pop()
            call = self._call_with(self.components[name])
            found[name] = call or name
            waiting |= set() if call else references(self.components[name]) - found.keys()
        kept = {name for name in found if not {"properties", "oneOf"}.isdisjoint(self.components[name])}
        return {name: found[name] for name in sorted(kept)}

    def _call_with(self, component: Schema) -> str:
        """The summary of the first call whose body takes all fields of a component, if there is one."""
        fields = component.get("properties", {}).keys()
        for operation in self.operations:
            for content in operation.bodies.values():
                if fields and fields <= content["schema"].get("properties", {}).keys():
                    return operation.summary
        return ""


def references(part: Any) -> set[str]:
    """The names of the schemas that a part of a document refers to."""
    if isinstance(part, dict):
        own = {component_of(part)} if str(part.get("$ref", "")).startswith("#/components/schemas/") else set()
        return own.union(*(references(each) for each in part.values()))
    return set().union(*(references(each) for each in part)) if isinstance(part, list) else set()


def text_of(example: Any) -> str:
    """An example as it is sent."""
    return example.rstrip("\n") if isinstance(example, str) else json.dumps(example, indent=2, ensure_ascii=False)
