"""Photo-sharp video: the generated clip decides what moves and how light changes, the photo supplies the detail."""

from cinemo_core.detail.analyse import Analysis, Frame, analyse
from cinemo_core.detail.compose import compose
from cinemo_core.detail.estimate import estimate
from cinemo_core.detail.given_flow import analyse_given_flow
from cinemo_core.detail.interpolate import interpolate
from cinemo_core.detail.noise import Preset
from cinemo_core.detail.transfer import transfer

__all__ = [
    "Analysis",
    "Frame",
    "Preset",
    "analyse",
    "analyse_given_flow",
    "compose",
    "estimate",
    "interpolate",
    "transfer",
]
