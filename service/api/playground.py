"""GET /: the playground, a web page that uses the public API and nothing else."""

from string import Template

from cinemo_spec.parameters import MAX_INTENSITY
from service.api.assets import HTML, Asset
from service.contract.settings import Settings
from service.store.cards import HABITS, card_at_hand, usual

MAX_SLIDER_STEPS = 100
"""A slider up to the limit would be too coarse."""


def playground(template: Asset, settings: Settings) -> Asset:
    """Fill in the service's limits and defaults."""
    text = Template(template.body.decode()).substitute(limits(settings))
    return Asset(text.encode(), HTML)


def limits(settings: Settings) -> dict[str, object]:
    """Return the values for the page's template."""
    numbers = usual(card_at_hand(settings.model) or HABITS, settings)
    steps, guidance = numbers["num_inference_steps"], numbers["guidance_scale"]
    return {
        "max_image_bytes": settings.max_image_bytes,
        "max_motion_intensity": MAX_INTENSITY,
        "most_steps": max(steps, min(settings.max_num_inference_steps, MAX_SLIDER_STEPS)),
        "default_num_inference_steps": steps,
        "default_guidance_scale": f"{guidance:g}",
    }
