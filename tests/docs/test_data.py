"""JSON and YAML in the documentation match what the service accepts and returns. Starts nothing."""

import json
from typing import Any

import pytest
import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError

from cinemo_spec.training import TrainConfig
from service.api.health import Health
from service.contract.schemas import jobs, models, problems, uploads, usage, validations, webhooks
from tests.docs.agents import ClaudeFile, EditorFile
from tests.docs.pages import Block, all_pages, blocks_of

SCHEMAS: tuple[type[BaseModel], ...] = (
    jobs.AnimateJob,
    jobs.EditJob,
    jobs.TrainJob,
    jobs.JobList,
    jobs.EventList,
    *validations.OF_KIND.values(),
    TrainConfig,
    models.Model,
    models.ModelList,
    problems.Problem,
    uploads.Upload,
    uploads.PresignRequest,
    uploads.PresignedUpload,
    usage.UsageReport,
    webhooks.Message,
    webhooks.BudgetMessage,
    webhooks.VideoMessage,
    webhooks.DeliveryList,
    webhooks.RedeliverRequest,
    webhooks.Redelivered,
    Health,
    ClaudeFile,
    EditorFile,
)


def blocks(language: str) -> list[Block]:
    return [block for page in all_pages() for block in blocks_of(page) if block.language == language]


def faults(schema: type[BaseModel], shown: Any) -> list[str]:
    """Differences between a value and a schema; a page may omit fields."""
    try:
        TypeAdapter(schema).validate_json(json.dumps(shown), extra="forbid")
    except ValidationError as error:
        return [f"{each['loc']}: {each['msg']}" for each in error.errors() if each["type"] != "missing"]
    return []


@pytest.mark.parametrize("block", blocks("json"), ids=lambda block: block.place)
def test_json_blocks_match_a_schema_of_the_api(block: Block) -> None:
    shown = json.loads(block.text)
    found = {schema.__name__: faults(schema, shown) for schema in SCHEMAS}
    assert shown
    assert [] in found.values(), found


@pytest.mark.parametrize("block", blocks("yaml"), ids=lambda block: block.place)
def test_yaml_blocks_parse_and_are_files_that_commands_use(block: Block) -> None:
    assert isinstance(yaml.safe_load(block.text), dict)
    assert block.title, "its page's commands take it as a file"
