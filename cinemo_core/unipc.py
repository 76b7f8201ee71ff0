"""UniPC of second order with B(h) = exp(h) - 1, whose coefficients stay on the host. Source: arXiv 2302.04867."""

from functools import reduce

import torch
from diffusers import UniPCMultistepScheduler
from torch import Tensor


class UniPC(UniPCMultistepScheduler):
    """Replaces both updates of the base class, which computes their coefficients on the samples' device.

    That costs five transfers a step, and a wait for the solution of two equations. The numbers are the same, on a CPU
    bit for bit. Of the settings, only the defaults for order, B(h) and kind of prediction are supported.
    """

    def multistep_uni_p_bh_update(self, model_output: Tensor, *, sample: Tensor, order: int) -> Tensor:
        """Predict the next sample from the last `order` clean ones."""
        return self._update(sample, self.step_index, order, None)

    def multistep_uni_c_bh_update(
        self, this_model_output: Tensor, *, last_sample: Tensor, this_sample: Tensor, order: int
    ) -> Tensor:
        """Make this sample again, with the clean one that the network has predicted from it."""
        return self._update(last_sample, self.step_index - 1, order, this_model_output)

    def _update(self, sample: Tensor, index: int, order: int, clean: Tensor | None) -> Tensor:
        """Take a sample from one noise level to the next, at which `clean` is known if it has been there before."""
        latest = self.model_outputs[-1]
        (alpha, sigma, end), (_, sigma_before, start) = self._level(index + 1), self._level(index)
        h = end - start
        growth = torch.expm1(-h)
        ratio, changes = torch.ones(()), []
        if order == 2:
            ratio = (self._level(index - 1)[2] - start) / h
            changes.append((self.model_outputs[-2] - latest) / ratio)
        if clean is not None:
            changes.append(clean - latest)
        sample = sigma / sigma_before * sample - alpha * growth * latest
        if not changes:
            return sample
        weights = solved(ratio, h, growth) if len(changes) == 2 else torch.tensor([0.5])
        return sample - alpha * growth * reduce(torch.add, map(torch.mul, weights, changes))

    def _level(self, index: int) -> tuple[Tensor, Tensor, Tensor]:
        """Signal, noise and the logarithm of their ratio: scalars of the host, which kernels take as arguments."""
        alpha, sigma = self._sigma_to_alpha_sigma_t(self.sigmas[index])
        return alpha, sigma, torch.log(alpha) - torch.log(sigma)


def solved(ratio: Tensor, h: Tensor, growth: Tensor) -> Tensor:
    """The weights `(2,)` of two changes, of which the first spans `ratio` times the step `h`."""
    one = torch.ones(())
    phi = growth / -h - 1
    totals = torch.stack((phi / growth, (phi / -h - 0.5) * 2 / growth))
    return torch.linalg.solve(torch.stack((one, one, ratio, one)).view(2, 2), totals)
