"""The reference renders everything in the OpenAPI document, in Markdown and in HTML alike."""

import re
from html.parser import HTMLParser

from service.api.reference.blocks import Block, Code, Heading, Paragraph, Table
from service.api.reference.html import page_html
from service.api.reference.markdown import markdown
from service.api.reference.page import page
from service.contract import problems
from service.contract.failures import FAILURES
from service.openapi import document, page_text

DOCUMENT = document()
BLOCKS = page(DOCUMENT, "https://api.example.com/")
OPERATIONS = [(path, method, each) for path, item in DOCUMENT["paths"].items() for method, each in item.items()]


class Words(HTMLParser):
    """The text that a reader of HTML sees."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.feed(text)

    def handle_data(self, data: str) -> None:
        self.seen.append(data)


def section(heading: str) -> list[Block]:
    """The text below a heading."""
    start = next(at for at, each in enumerate(BLOCKS) if isinstance(each, Heading) and each.text == heading)
    rest = BLOCKS[start + 1 :]
    end = next((at for at, each in enumerate(rest) if isinstance(each, Heading)), len(rest))
    return rest[:end]


def text_of(blocks: list[Block]) -> str:
    return markdown(blocks)


def test_every_operation_has_a_section_with_all_its_details() -> None:
    for path, method, operation in OPERATIONS:
        reported = text_of(section(operation["summary"]))
        assert f"`{method.upper()} {path}`" in reported
        assert " ".join(operation["description"].split("\n\n")[0].split()) in reported
        for parameter in operation.get("parameters", ()):
            assert f"| `{parameter['name']}` | {parameter['in']} |" in reported
        for status, response in operation["responses"].items():
            assert f"\n| {status} |" in reported
            for code in response.get("content", {}).get(problems.PROBLEM_TYPE, {}).get("examples", ()):
                assert f"`{code}`" in reported
        assert "curl -sS" in reported


def test_every_body_field_is_listed_with_range_default_and_meaning() -> None:
    reported = text_of(section("Animate a photo"))
    assert (
        "| `motion_intensity` | number, 0 to 19 | `10` | 0 (still) to 19 (strong), comparable across models. |"
        in reported
    )
    assert "| `prompt` | string or list of string | required |" in reported
    assert "| `data.source` | string, 1 to 1024 characters | required |" in reported.replace(
        reported, text_of(section("Train a model"))
    )
    for path, _, operation in OPERATIONS:
        for content in operation.get("requestBody", {}).get("content", {}).values():
            for name in content["schema"].get("properties", ()):
                assert re.search(rf"\| `{name}[.`]", text_of(section(operation["summary"]))), (path, name)


def test_every_problem_is_listed_with_its_status_and_remedy() -> None:
    reported = text_of(section("Problems"))
    assert f"| 404 | `NOT_FOUND` | {problems.NotFound.title} | {problems.NotFound.remedy} | no |" in reported
    assert f"| 403 | `URL.INVALID` | {problems.Forbidden.title} | {problems.Forbidden.remedy} | no |" in reported
    assert f"| 429 | `QUEUE.FULL` | {problems.QueueFull.title} | {problems.QueueFull.remedy} | yes |" in reported


def test_every_failure_code_is_listed_with_its_remedy() -> None:
    reported = text_of(section("Failures"))
    for failure in FAILURES.values():
        assert f"| `{failure.code}` | {failure.meaning} | {failure.remedy} |" in reported


def test_every_link_leads_to_a_heading_and_headings_are_unique() -> None:
    anchors = [each.anchor for each in BLOCKS if isinstance(each, Heading)]
    assert len(anchors) == len(set(anchors))
    assert set(re.findall(r"\]\(#(.+?)\)", markdown(BLOCKS))) <= set(anchors)


def test_kinds_of_jobs_are_distinguished_by_their_own_fields() -> None:
    assert "One of [AnimateJob](#animatejob), [EditJob](#editjob), [TrainJob](#trainjob)" in text_of(section("Job"))
    assert "| `eta` | timestamp or null |" in text_of(section("Job"))
    [fields] = [each for each in section("TrainJob") if isinstance(each, Table)]
    own = ["`kind`", "`request`", "`progress`", "`training`", "`continues`", "`output`"]
    assert [row[0] for row in fields.rows] == own


def test_example_commands_use_the_services_own_url() -> None:
    commands = [each.text for each in BLOCKS if isinstance(each, Code) and each.language == "sh"]
    assert commands
    assert all("https://api.example.com/" in each and "com//" not in each for each in commands)
    assert "http://127.0.0.1:8000/animate" in page_text()


def test_html_and_markdown_have_the_same_content() -> None:
    seen = " ".join("".join(Words(page_html(BLOCKS)).seen).split())
    plain = re.compile(r"`([^`]+)`|\[([^\]]+)\]\(#[^)]*\)")
    for block in BLOCKS:
        cells = {
            Heading: lambda each: [each.text],
            Paragraph: lambda each: [each.text],
            Code: lambda each: [each.caption, each.text],
            Table: lambda each: [cell for row in (each.header, *each.rows) for cell in row],
        }[type(block)](block)
        for cell in cells:
            is_code = isinstance(block, Code) and cell is block.text
            text = cell if is_code else plain.sub(lambda found: found[1] or found[2], cell)
            assert " ".join(text.split()) in seen


def test_text_that_looks_like_markup_is_escaped() -> None:
    hostile: list[Block] = [
        Heading(1, "<b>"),
        Paragraph("`<i>` [x](javascript:alert) <script>"),
        Table(("a|b",), (("<td>",),)),
        Code("<u>", "json", "</code><img>"),
    ]
    reported = page_html(hostile)
    assert not re.search(r"<(b|i|script|img|u)>|<a href=.javascript", reported)
    assert "| a\\|b |" in markdown(hostile)
