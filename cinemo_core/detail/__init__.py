"""Photo-sharp video: the generation decides what moves and how light changes, the photo supplies the detail."""

from cinemo_core.detail.analyse import Analysis, Frame, analyse
from cinemo_core.detail.between import between
from cinemo_core.detail.compose import compose
from cinemo_core.detail.estimate import estimate
from cinemo_core.detail.follow import follow
from cinemo_core.detail.noise import Preset
from cinemo_core.detail.transfer import transfer

__all__ = ["Analysis", "Frame", "Preset", "analyse", "between", "compose", "estimate", "follow", "transfer"]
