"""What gives the words of a vector feature their meaning: centre, scale, and random frequencies."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kernels.layout import FREQUENCIES, PHASE_CLIP, PHASE_SCALE, WAVE_WIDTH, Vectors

COARSEST = 21
"""Bits of a turn that a frequency can have below its unit: with the 11 of a step they make 32."""
LARGEST_WAVE = 32_767
PAIRED = 500
"""Vectors whose distances give the bandwidth: of 125,000 pairs the median is known to 1 %."""
SMALLEST = 1e-300
"""Below this a scale has no finite reciprocal to speak of."""
NOTHING = 1e-9
"""Variance of the Fourier features below which all vectors are one, as rounding leaves it."""


@dataclass(frozen=True, slots=True, eq=False)
class VectorProfile:
    """Frozen with the reference, as bins are; see `kernels.layout.Vectors`.

    center     float64[length]             reference median of each dimension
    scale      float64[length]             interquartile range, or standard deviation, or 1; > 0
    waves      int16[frequencies, length]  in 2**(shift - 21) turns per scale
    phases     int32[frequencies]
    bandwidth  of the Gaussian kernel, in scales: the median distance of two vectors
    traces     of the covariance of the Fourier features, of its square and of its fourth power: the null of their
               distance, see `monitor.judge.joint`; of groups alone
    """

    center: NDArray[np.float64]
    scale: NDArray[np.float64]
    waves: NDArray[np.int16]
    phases: NDArray[np.int32]
    shift: int
    bandwidth: float
    traces: tuple[float, ...] = ()

    @property
    def length(self) -> int:
        return len(self.center)

    @property
    def words(self) -> int:
        return 3 * self.length + len(self.phases)


def plain_vector(length: int) -> VectorProfile:
    """That of a model without a reference: moments alone, in the vector's own unit."""
    return VectorProfile(
        center=np.zeros(length),
        scale=np.ones(length),
        waves=np.empty((0, length), np.int16),
        phases=np.empty(0, np.int32),
        shift=0,
        bandwidth=1.0,
    )


def profile_vectors(sample: NDArray[np.float64], *, model: str, feature: str) -> VectorProfile:
    """The profile of a feature, from some of its vectors: float64[rows, length], finite.

    Equal samples and names give equal profiles; frequencies of different features are independent.
    """
    return _profile(sample, *_places(sample), model=model, feature=feature)


def profile_group(
    sample: NDArray[np.float64],
    center: NDArray[np.float64],
    scale: NDArray[np.float64],
    *,
    model: str,
    feature: str,
) -> VectorProfile:
    """As `profile_vectors`, of a group: centres and scales are those of its features."""
    scale = np.where(scale > SMALLEST, scale, 1.0)
    profile = _profile(sample, center, scale, model=model, feature=feature)
    return replace(profile, traces=_traces(sample, profile))


def in_waves_of(sample: NDArray[np.float64], known: VectorProfile, *, is_group: bool) -> VectorProfile:
    """The profile of `sample` with the places and frequencies of another, so that sums of both can be compared."""
    return replace(known, traces=_traces(sample, known)) if is_group else known


def _traces(sample: NDArray[np.float64], profile: VectorProfile) -> tuple[float, ...]:
    """tr C, tr C² and tr C⁴ of the covariance C of the Fourier features; zeros where all vectors are one."""
    if len(sample) < 2:
        return (0.0, 0.0, 0.0)
    steps = np.rint(np.clip((sample - profile.center) / profile.scale * PHASE_SCALE, -PHASE_CLIP, PHASE_CLIP))
    turns = steps @ (profile.waves.T * 2.0 ** (profile.shift - 32)) + profile.phases * 2.0**-32
    found = math.sqrt(2.0 / FREQUENCIES) * np.cos(2.0 * math.pi * turns)
    roots = np.maximum(np.linalg.eigvalsh(np.cov(found, rowvar=False)), 0.0)
    if roots.sum() <= NOTHING:
        return (0.0, 0.0, 0.0)
    # rounded: libraries differ in the last digits, and equal input gives equal files
    return tuple(float(f"{np.sum(roots**power):.9g}") for power in (1, 2, 4))


def _profile(
    sample: NDArray[np.float64],
    center: NDArray[np.float64],
    scale: NDArray[np.float64],
    *,
    model: str,
    feature: str,
) -> VectorProfile:
    bandwidth = _bandwidth((sample[:PAIRED] - center) / scale)
    seed = hashlib.sha256(f"{model}\0{feature}".encode("utf-8", "surrogatepass")).digest()
    draw = np.random.Generator(np.random.Philox(key=int.from_bytes(seed[:16], "little")))
    turns = draw.standard_normal((FREQUENCIES, len(center))) / (2 * math.pi * bandwidth)
    bits = math.floor(math.log2(LARGEST_WAVE / max(float(np.abs(turns).max(initial=0.0)), 1e-9)))
    bits = min(max(bits, 0), COARSEST)
    waves = np.clip(np.rint(turns * 2.0**bits), -LARGEST_WAVE, LARGEST_WAVE)
    return VectorProfile(
        center=center,
        scale=scale,
        waves=waves.astype(np.int16),
        phases=draw.integers(-(2**31), 2**31, FREQUENCIES).astype(np.int32),
        shift=COARSEST - bits,
        bandwidth=bandwidth,
    )


def stacked(profiles: Sequence[VectorProfile]) -> Vectors:
    """The arrays of all vector features of a model, in their order."""
    lengths = [profile.length for profile in profiles]
    wide = [-(-length // WAVE_WIDTH) * WAVE_WIDTH for length in lengths]
    wave_start = np.cumsum([0, *wide]).astype(np.int32)
    frequencies = len(profiles[0].phases) if profiles else 0
    waves = np.zeros((frequencies, int(wave_start[-1])), np.int16)
    for profile, low in zip(profiles, wave_start[:-1].tolist(), strict=True):
        waves[:, low : low + profile.length] = profile.waves
    return Vectors(
        dim_start=np.cumsum([0, *lengths]).astype(np.int32),
        word_start=np.cumsum([0, *(profile.words for profile in profiles)]).astype(np.int32),
        wave_start=wave_start,
        center=np.concatenate([np.empty(0), *(profile.center for profile in profiles)]),
        scale=np.concatenate([np.empty(0), *(profile.scale for profile in profiles)]),
        waves=waves,
        phases=np.array([profile.phases for profile in profiles], np.int32).reshape(
            len(profiles), frequencies
        ),
        shift=np.array([profile.shift for profile in profiles], np.int32),
    )


def without_waves(of: Vectors) -> Vectors:
    """The same features, of which only presence and moments are counted: a tenth of the work."""
    return stacked([plain_vector(length) for length in np.diff(of.dim_start).tolist()])


def mean_words(of: Vectors) -> NDArray[np.int64]:
    """Numbers of the words that are sums of values, not of squares: those that means are made of."""
    kept = [np.empty(0, np.int64)]
    dims, words = of.dim_start.tolist(), of.word_start.tolist()
    for own in range(of.count):
        length = dims[own + 1] - dims[own]
        kept += [np.arange(length) + words[own], np.arange(words[own] + 3 * length, words[own + 1])]
    return np.concatenate(kept)


def _places(sample: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Centre and scale of each dimension. Quantiles are values that occur."""
    rows, length = sample.shape
    if rows == 0:
        return np.zeros(length), np.ones(length)
    ordered = np.sort(sample, axis=0)
    low, middle, high = (ordered[max(math.ceil(q * rows) - 1, 0)] for q in (0.25, 0.5, 0.75))
    with np.errstate(over="ignore", invalid="ignore"):
        scale, spread = high - low, sample.std(axis=0)
    for other in (spread, np.ones(length)):
        scale = np.where(np.isfinite(scale) & (scale > SMALLEST), scale, other)
    return middle.copy(), scale


def _bandwidth(places: NDArray[np.float64]) -> float:
    """The median distance of two of the standardised vectors, as far as phases tell them apart."""
    rows = np.clip(places, -PHASE_CLIP / PHASE_SCALE, PHASE_CLIP / PHASE_SCALE)
    if len(rows) < 2:
        return math.sqrt(max(rows.shape[1], 1))
    squares = np.sum(rows * rows, axis=1)
    apart = squares[:, None] + squares[None, :] - 2.0 * (rows @ rows.T)
    median = float(np.median(apart[np.triu_indices(len(rows), 1)]))
    return math.sqrt(median) if median > 1e-6 else math.sqrt(rows.shape[1])
