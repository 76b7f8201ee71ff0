"""Reads an OpenAPI document."""

import json
from dataclasses import dataclass
from typing import Any

from service.api.reference.schema_text import Schema, component_of
from service.contract.failures import SCHEMA_KEY
from service.contract.problems import PROBLEM_TYPE


@dataclass(frozen=True)
class Operation:
    """An operation, with its OpenAPI object `spec`; `path` is empty for a webhook."""

    method: str
    path: str
    spec: dict[str, Any]

    @property
    def summary(self) -> str:
        return str(self.spec["summary"])

    @property
    def parameters(self) -> list[dict[str, Any]]:
        return list(self.spec.get("parameters", ()))

    @property
    def bodies(self) -> dict[str, dict[str, Any]]:
        """Request bodies by content type."""
        return dict(self.spec.get("requestBody", {}).get("content", {}))

    @property
    def key(self) -> str:
        """The API key that it requires, in words."""
        if "security" not in self.spec:
            return "no key"
        scopes = [scope for each in self.spec["security"] for names in each.values() for scope in names]
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
        paths = list(document["paths"].items())
        webhooks = [("", item) for item in document["webhooks"].values()]
        self.operations = [
            Operation(method.upper(), path, spec) for path, item in paths + webhooks for method, spec in item.items()
        ]

    def example(self, content: dict[str, Any]) -> Any:
        """Return the example of a body: its own, its schema's, or that of the schema's first alternative."""
        if "example" in content:
            return content["example"]
        schema = self.components.get(component_of(content["schema"]), content["schema"])
        return schema["examples"][0] if "examples" in schema else self.example({"schema": schema["oneOf"][0]})

    def problems(self) -> dict[str, dict[str, Any]]:
        """Return the examples of all problems by code, sorted by status and code."""
        found: dict[str, dict[str, Any]] = {}
        responses = [response for each in self.operations for response in each.spec["responses"].values()]
        for response in [*responses, *self.responses.values()]:
            found |= response.get("content", {}).get(PROBLEM_TYPE, {}).get("examples", {})
        return dict(sorted(found.items(), key=lambda each: (each[1]["value"]["status"], each[0])))

    def failures(self) -> dict[str, dict[str, Any]]:
        """Return the descriptions of job errors by code."""
        return dict(self.components["JobError"]["properties"]["code"][SCHEMA_KEY])

    def objects(self) -> dict[str, str]:
        """Return the headings that explain the components in responses and webhooks, by component.

        A component whose fields an operation accepts is explained under that operation, with everything inside it.
        """
        responses = [response for operation in self.operations for response in operation.spec["responses"].values()]
        webhooks = [operation.bodies for operation in self.operations if not operation.path]
        found: dict[str, str] = {}
        pending = references([responses, webhooks])
        while pending:
            name = pending.pop()
            summary = self._operation_accepting(self.components[name])
            found[name] = summary or name
            pending |= set() if summary else references(self.components[name]) - found.keys()
        kept = {name for name in found if not {"properties", "oneOf"}.isdisjoint(self.components[name])}
        return {name: found[name] for name in sorted(kept)}

    def _operation_accepting(self, component: Schema) -> str:
        """Return the summary of the first operation that accepts all fields of a component, or an empty string."""
        fields = component.get("properties", {}).keys()
        for operation in self.operations:
            for content in operation.bodies.values():
                if fields and fields <= content["schema"].get("properties", {}).keys():
                    return operation.summary
        return ""


def references(part: Any) -> set[str]:
    """Return the names of the schemas that a part of a document refers to."""
    if isinstance(part, dict):
        own = {component_of(part)} if str(part.get("$ref", "")).startswith("#/components/schemas/") else set()
        return own.union(*(references(each) for each in part.values()))
    return set().union(*(references(each) for each in part)) if isinstance(part, list) else set()


def example_text(example: Any) -> str:
    """Format an example as it is sent."""
    return example.rstrip("\n") if isinstance(example, str) else json.dumps(example, indent=2, ensure_ascii=False)
