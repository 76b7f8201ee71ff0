"""Distances between distributions of features, and the inception score. Knows only arrays."""

import numpy as np
from numpy.typing import NDArray

from cinemo_spec.errors import InvalidParameter

Features = NDArray[np.floating]


def frechet_distance(one: Features, other: Features) -> float:
    """Squared Fréchet distance of the Gaussians fitted to features `(n, d)` and `(m, d)`.

    This is FID for features of pictures (arXiv 1706.08500, eq. 6), FVD for those of clips (arXiv 1812.01717).

    Raises:
        InvalidParameter: fewer than two samples, or features of different widths.
    """
    if one.ndim != 2 or other.ndim != 2 or one.shape[1] != other.shape[1] or min(len(one), len(other)) < 2:
        raise InvalidParameter(f"features must be (n, d) and (m, d), n and m 2 or more, got {one.shape}, {other.shape}")
    one, other = one.astype(np.float64), other.astype(np.float64)
    between = one.mean(axis=0) - other.mean(axis=0)
    root, covariance = matrix_root(np.cov(one, rowvar=False)), np.atleast_2d(np.cov(other, rowvar=False))
    # The trace of sqrt(A B) is that of sqrt(sqrt(A) B sqrt(A)), which is symmetric and needs no complex numbers.
    product = matrix_root(root @ covariance @ root)
    return float(between @ between + np.trace(root @ root) + np.trace(covariance) - 2 * np.trace(product))


def matrix_root(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Square root of a symmetric positive semi-definite matrix; eigenvalues within rounding of zero are zero."""
    values, vectors = np.linalg.eigh(np.atleast_2d(matrix))
    values = np.where(values > len(values) * np.finfo(np.float64).eps * abs(values).max(), values, 0)
    root: NDArray[np.float64] = (vectors * np.sqrt(values)) @ vectors.T
    return root


def inception_score(probabilities: Features) -> float:
    """Exponential of the mean divergence of class probabilities `(n, classes)` from their mean (arXiv 1606.03498).

    From 1 (all alike or all undecided) to the number of classes.

    Raises:
        InvalidParameter: not a table of probabilities.
    """
    if probabilities.ndim != 2 or not len(probabilities) or not np.allclose(probabilities.sum(axis=1), 1, atol=1e-3):
        raise InvalidParameter(f"probabilities must be (n, classes) with rows that add up to 1: {probabilities.shape}")
    each = probabilities.astype(np.float64)
    whole = each.mean(axis=0)
    ratios = np.log(each, where=each > 0, out=np.zeros_like(each)) - np.log(
        whole, where=whole > 0, out=np.zeros_like(whole)
    )
    return float(np.exp((each * ratios).sum(axis=1).mean()))
