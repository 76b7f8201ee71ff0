"""The Cinemo model library: image animation by motion residual diffusion. Usable alone, without any service.

The public names stand in `__init__.pyi` and are loaded when they are first asked for, so that the configuration of a
training run can be read without torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
