"""Adapters on the page: chosen with weights, shown with their job, and only those that fit the model."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, expect

from cinemo_core.checkpoint import BUILT_IN, revision
from cinemo_spec.card import ModelCard
from deploy.local.stack import Stack
from service.storage.local import LocalStore
from service.storage.models import ModelRegistry
from tests.adapters import random_adapter
from tests.page.browser import Playground
from tests.page.test_code import made_by, run

OVER_TINY = ("waves", "wind", "mist", "rain")


@pytest.fixture(scope="module")
def models(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What is published meanwhile, by name: `birds`, a full model, and adapters over the built-in one."""
    registry = ModelRegistry(LocalStore(stack.folder / "storage", stack.url, "for tests alone"))
    folder = tmp_path_factory.mktemp("models")
    shutil.copytree(BUILT_IN["tiny"], folder / "birds")
    adapter = random_adapter(folder / "adapter")
    for name in OVER_TINY:
        shutil.copytree(adapter, folder / name)
    published = []
    for name in ("birds", *OVER_TINY):
        replace(ModelCard.read(folder / name), name=name).write(folder / name)
        published.append(registry.publish(folder / name, name, revision(folder / name), "job_0", "tiny"))
    yield {each.name: each.reference for each in published}
    for each in published:
        registry.delete(registry.keys(each.reference, each.tenant))


@pytest.fixture
def offering(playground: Playground, models: dict[str, str]) -> Playground:
    """The page, which has been reloaded to offer the models."""
    playground.page.reload()
    expect(playground.page.get_by_label("Model")).to_have_value("tiny")
    return playground


def row(playground: Playground, number: int) -> Locator:
    return playground.page.locator("#adapters li").nth(number - 1)


def add(playground: Playground, number: int, model: str, weight: str) -> None:
    playground.button("Add an adapter").click()
    expect(playground.page.get_by_label(f"Adapter {number}", exact=True)).to_be_focused()
    playground.page.get_by_label(f"Adapter {number}", exact=True).select_option(model)
    row(playground, number).get_by_label("Weight").fill(weight)


def test_adapters_are_applied_by_their_weights_and_shown_with_their_job(
    offering: Playground, models: dict[str, str], browser: Browser, tmp_path: Path
) -> None:
    offering.button("Cat").click()
    add(offering, 1, "tiny-turbo", "0.333")
    add(offering, 2, models["waves"], "-0.5")
    offering.ask("it breathes")
    offering.wait_for_video()
    first = offering.job()["request"]
    assert first["adapters"] == [{"model": "tiny-turbo", "weight": 0.333}, {"model": models["waves"], "weight": -0.5}]
    assert made_by(run(offering.code, "curl", tmp_path), offering)["request"] == first
    with browser.new_context() as elsewhere:
        linked = Playground(elsewhere.new_page(), offering.url)
        linked.open(offering.page.evaluate("location.hash"))
        linked.wait_for_video()
        expect(linked.page.get_by_label("Adapter 1", exact=True)).to_have_value("tiny-turbo")
        expect(row(linked, 2).get_by_label("Weight")).to_have_value("-0.5")
        linked.button("Remove adapter 1").click()
        expect(linked.button("Remove adapter 1")).to_be_focused()
        linked.button("Animate").click()
        expect(linked.page).not_to_have_url(re.compile(offering.page.evaluate("location.hash")))
        linked.wait_for_video()
        assert linked.job()["request"] == {**first, "adapters": first["adapters"][1:]}
        assert linked.complaints == []


@pytest.mark.parametrize(
    ("model", "reason"),
    [("birds", "tiny-turbo doesn't fit {}"), ("tiny-turbo", "{} is now the model")],
)
def test_a_job_with_adapters_is_run_again_with_a_model_that_they_do_not_fit(
    offering: Playground, models: dict[str, str], model: str, reason: str
) -> None:
    offering.button("Cat").click()
    add(offering, 1, "tiny-turbo", "0.5")
    offering.ask("it breathes")
    offering.wait_for_video()
    before = offering.page.evaluate("location.hash")
    offering.page.reload()
    expect(offering.page.get_by_text("The photo of an earlier job")).to_be_visible()
    chosen = models.get(model, model)
    offering.page.get_by_label("Model").select_option(chosen)
    said = f"Removed: {reason.format(chosen)}."
    expect(offering.page.locator("#adapters").get_by_text(said)).to_be_visible()
    expect(offering.announced).to_have_text(said)
    offering.set("Steps", 2)
    offering.button("Animate").click()
    expect(offering.page).not_to_have_url(re.compile(before))
    offering.wait_for_video()
    request = offering.job()["request"]
    assert (request["model"], request["adapters"]) == (chosen, [])


def test_only_adapters_that_fit_the_model_are_offered_up_to_the_services_limit(
    offering: Playground, models: dict[str, str]
) -> None:
    rows = offering.page.get_by_role("group", name="Adapters").get_by_role("listitem")
    add_one = offering.button("Add an adapter")
    for number in range(1, 5):
        add_one.click()
        expect(offering.page.get_by_label(f"Adapter {number}", exact=True).locator("option")).to_have_count(5)
    expect(add_one).to_be_hidden()
    chosen = rows.locator("select").evaluate_all("all => all.map(each => each.value)")
    assert len(set(chosen)) == 4, "each another one"
    assert set(chosen) < {"tiny-turbo", *(models[name] for name in OVER_TINY)}
    # Over the same base, only the one that is now the model goes.
    offering.page.get_by_label("Model").select_option(chosen[0])
    expect(rows).to_have_count(3)
    offering.page.get_by_label("Model").select_option(models["birds"])
    expect(rows).to_have_count(0)
    expect(add_one).to_be_hidden()
    expect(offering.page.locator("#adapters-note")).to_be_visible()
    offering.page.get_by_label("Model").select_option("tiny")
    expect(add_one).to_be_visible()
    expect(offering.page.locator("#adapters-note")).to_be_hidden()


def test_an_invalid_weight_is_reported_beside_its_field(offering: Playground, models: dict[str, str]) -> None:
    offering.button("Cat").click()
    add(offering, 1, "tiny-turbo", "1")
    add(offering, 2, models["waves"], "3")
    offering.button("Animate").click()
    weight = row(offering, 2).get_by_label("Weight")
    expect(weight).to_have_accessible_description(re.compile("must be at most 2.*INPUT.INVALID"))
    expect(weight).to_be_focused()
    weight.fill("much")
    expect(weight).not_to_have_attribute("aria-invalid", "true")
    offering.button("Animate").click()
    expect(weight).to_have_accessible_description(re.compile("number.*INPUT.INVALID"))
