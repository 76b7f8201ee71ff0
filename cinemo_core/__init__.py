"""The Cinemo model library: image animation by motion residual diffusion, usable without the service.

The public names are declared in `__init__.pyi` and loaded on first use, so that a process that decodes videos
needs no torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
