"""Builds the API reference as a page, from the OpenAPI document alone."""

from collections.abc import Iterable, Iterator
from typing import Any

from service.api.reference.blocks import Block, Code, Heading, Paragraph, Table, code, link
from service.api.reference.contract import Contract, Operation, example_text
from service.api.reference.curl import command
from service.api.reference.schema_text import NULL, Field, Schema, SchemaText, component_of
from service.contract.problems import PROBLEM_TYPE

KEYS = (
    "If a key is required, send `Authorization: Bearer` with a key created by `cinemo keys create`. Keys have scopes; "
    "`admin` includes all of them. Times are UTC (RFC 3339)."
)
SECTIONS = ("Problems", "Failures", "Headers", "Objects")
PROBLEMS = (
    "Errors are returned as `application/problem+json` (RFC 9457): a [Problem](#problem). If a retry helps, the same "
    "request may succeed later."
)
FAILURES = (
    "When an accepted job fails, its `error` states why, as a [JobError](#joberror). If its worker, the device or the "
    "training process dies, or a disk is full, the next worker retries the job. It fails only after too many such "
    "losses in a row, with the code of the last one."
)


def page(document: dict[str, Any], base_url: str) -> list[Block]:
    """Build the page of an OpenAPI document, with example commands for the API at `base_url`."""
    return list(Page(Contract(document), base_url.rstrip("/")).blocks())


class Page:
    def __init__(self, contract: Contract, base_url: str) -> None:
        self._contract = contract
        self._base_url = base_url
        self._headings = contract.objects()
        self._schemas = SchemaText(contract.components, self._headings)

    def blocks(self) -> Iterator[Block]:
        yield Heading(1, f"{self._contract.title} API")
        yield Paragraph(self._contract.description)
        yield Paragraph(KEYS)
        yield self._contents()
        yield Paragraph(f"Common to all: {', '.join(link(each) for each in SECTIONS)}.")
        for tag in self._contract.tags:
            yield Heading(2, tag["name"].capitalize())
            yield Paragraph(tag["description"])
            for operation in self._contract.operations:
                if tag["name"] in operation.spec["tags"]:
                    yield from self._operation(operation)
        yield from self._problems()
        yield from self._failures()
        yield from self._headers()
        yield from self._objects()

    def _contents(self) -> Table:
        operations = [each for each in self._contract.operations if each.path]
        rows = [(code(f"{each.method} {each.path}"), link(each.summary), each.key) for each in operations]
        return Table(("endpoint", "summary", "requires"), tuple(rows))

    def _operation(self, operation: Operation) -> Iterator[Block]:
        yield Heading(3, operation.summary)
        if operation.path:
            yield Paragraph(f"{code(f'{operation.method} {operation.path}')}, {operation.key}")
        for paragraph in operation.spec["description"].split("\n\n"):
            yield Paragraph(" ".join(paragraph.split()))
        yield from self._request(operation) if operation.path else self._message(operation)
        yield from self._responses(operation)

    def _request(self, operation: Operation) -> Iterator[Block]:
        """Parameters and body, with example commands."""
        if operation.parameters:
            rows: list[tuple[str, ...]] = []
            for each in operation.parameters:
                cells = self._describe(Field(each["name"], each["schema"], each["required"]))
                rows.append((code(each["name"]), str(each["in"]), *cells))
            yield Table(("parameter", "in", "type and range", "default", "description"), tuple(rows))
        schemas = [content["schema"] for content in operation.bodies.values()]
        fields = {each.name: each for schema in schemas for each in self._schemas.all_fields(schema)}
        if fields:
            ordered = sorted(fields.values(), key=lambda field: not field.required)
            rows = [(code(each.name), *self._describe(each)) for each in ordered]
            yield Table(("body field", "type and range", "default", "description"), tuple(rows))
        for content_type, content in operation.bodies.items():
            text = command(self._base_url, operation, content_type, self._contract.example(content))
            yield Code(f"As {code(content_type)}", "sh", text)
        if not operation.bodies:
            yield Code("Example", "sh", command(self._base_url, operation))

    def _message(self, operation: Operation) -> Iterator[Block]:
        """The body of a webhook."""
        for content_type, content in operation.bodies.items():
            yield Paragraph(f"The body is a {self._schemas.type_and_range(content['schema'])}.")
            yield Code(f"Example of {content_type}", "json", example_text(self._contract.example(content)), folded=True)

    def _describe(self, field: Field) -> tuple[str, str, str]:
        """Return type and range, default, and description."""
        return (
            self._schemas.type_and_range(field.schema),
            self._schemas.default(field),
            self._schemas.description(field.schema),
        )

    def _responses(self, operation: Operation) -> Iterator[Block]:
        """Responses by status, then examples of those that are not problems."""
        responses = operation.spec["responses"]
        rows = [(status, self._response(each)) for status, each in responses.items()]
        yield Table(("response", "description"), tuple(rows))
        for status, response in responses.items():
            for content_type, content in response.get("content", {}).items():
                if content_type != PROBLEM_TYPE:
                    language = "json" if content_type == "application/json" else "text"
                    text = example_text(self._contract.example(content))
                    yield Code(f"Example of {status}, {content_type}", language, text, folded=True)

    def _response(self, response: dict[str, Any]) -> str:
        """Return the codes of problems, or the content of a response."""
        contents = response.get("content", {})
        if PROBLEM_TYPE in contents:
            return ", ".join(code(each) for each in contents[PROBLEM_TYPE]["examples"])
        kinds = " or ".join(self._schemas.type_and_range(each["schema"]) for each in contents.values())
        own = [code(each) for each in response.get("headers", ()) if each != "x-request-id"]
        sentences = [response["description"], kinds and f"{kinds}.", own and f"With {', '.join(own)}."]
        return " ".join(each for each in sentences if each)

    def _problems(self) -> Iterator[Block]:
        yield Heading(2, "Problems")
        yield Paragraph(PROBLEMS)
        rows = []
        for name, example in self._contract.problems().items():
            problem = example["value"]
            retryable = "yes" if problem["retryable"] else "no"
            rows.append((str(problem["status"]), code(name), problem["title"], example["description"], retryable))
        yield Table(("status", "code", "meaning", "what to do", "retryable"), tuple(rows))

    def _failures(self) -> Iterator[Block]:
        yield Heading(2, "Failures")
        yield Paragraph(FAILURES)
        rows = [
            (code(name), failure["meaning"], failure["remedy"], "yes" if failure["retryable"] else "no")
            for name, failure in self._contract.failures().items()
        ]
        yield Table(("code", "meaning", "what to do", "retryable"), tuple(rows))

    def _headers(self) -> Iterator[Block]:
        yield Heading(2, "Headers")
        rows = [(code(name), each["description"]) for name, each in self._contract.headers.items()]
        yield Table(("response header", "description"), tuple(rows))

    def _objects(self) -> Iterator[Block]:
        yield Heading(2, "Objects")
        for name, heading in self._headings.items():
            if name == heading:
                yield Heading(3, name)
                yield from self._object(name)

    def _object(self, name: str) -> Iterator[Block]:
        schema = self._contract.components[name]
        union = self._union_of(name)
        if "oneOf" in schema:
            kinds = ", ".join(self._schemas.type_and_range(each) for each in schema["oneOf"])
            by = code(schema["discriminator"]["propertyName"])
            yield Paragraph(f"One of {kinds}, distinguished by {by}. All of them have:")
            yield self._fields(self._shared(schema))
        elif union:
            yield Paragraph(f"{self._schemas.description(schema)} It has the fields of a {link(union)}, and:")
            shared = self._shared(self._contract.components[union])
            yield self._fields(each for each in self._schemas.own_fields(schema) if each not in shared)
        else:
            yield Paragraph(self._schemas.description(schema))
            yield self._fields(self._schemas.own_fields(schema))

    def _union_of(self, name: str) -> str:
        """Return the name of the union that an object belongs to, or an empty string."""
        unions = [each for each in self._headings if "oneOf" in self._contract.components[each]]
        kinds = {each: self._contract.components[each]["oneOf"] for each in unions}
        return next((each for each in unions if name in map(component_of, kinds[each])), "")

    def _shared(self, union: Schema) -> list[Field]:
        """Return the fields that all members of a union share."""
        first, *others = (self._schemas.own_fields(each) for each in union["oneOf"])
        return [each for each in first if all(each in other for other in others)]

    def _fields(self, fields: Iterable[Field]) -> Table:
        rows = []
        for each in fields:
            null = " or null" if NULL in each.schema.get("anyOf", ()) else ""
            rows.append(
                (
                    code(each.name),
                    self._schemas.type_and_range(each.schema) + null,
                    self._schemas.description(each.schema),
                )
            )
        return Table(("field", "type", "description"), tuple(rows))
