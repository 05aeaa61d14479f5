"""The spinning sensor whose sweeps are generated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Elevations (degrees) of the rings of a Velodyne HDL-64E as they stand in a real sweep: two blocks of about a third and
# half a degree. Equal spacing gives other rings on the ground, and so other neighbours.
_HDL_64E_DEG = (
    "2.53 2.16 1.88 1.43 1.16 .77 .50 .15 -.18 -.59 -.89 -1.23 -1.61 -1.93 -2.26 -2.61 -2.91 -3.29 -3.55 -3.92 -4.22 "
    "-4.55 -4.88 -5.21 -5.56 -5.88 -6.18 -6.44 -6.82 -7.17 -7.40 -7.77 -8.37 -8.89 -9.35 -9.73 -10.18 -10.79 -11.28 "
    "-11.70 -12.15 -12.58 -13.09 -13.61 -14.18 -14.61 -15.11 -15.48 -16.11 -16.64 -17.20 -17.66 -18.16 -18.56 -19.01 "
    "-19.56 -20.06 -20.66 -21.13 -21.54 -21.99 -22.61 -23.06 -23.59"
)


@dataclass(frozen=True)
class Sensor:
    """A sensor with rings of fixed elevations that turns once a sweep.

    Attributes:
        elevations_deg: of the rings, from the highest down.
        azimuth_steps: shots of a ring in a turn.
        height_m: over the road.
        nearest_m, farthest_m: what returns are kept.
        noise_m: standard deviation of a single range. More than 2 cm would fill voxels that a real sweep leaves empty.
        ring_bias_m: standard deviation of the error that all ranges of a ring share, which is larger in real sweeps.
        lost: the share of returns that is missing anywhere.
        lost_per_m: how that grows beyond `lost_from_m`.
        sweeps_per_s: turns a second.
    """

    elevations_deg: tuple[float, ...]
    azimuth_steps: int = 2170
    height_m: float = 1.73
    nearest_m: float = 2.5
    farthest_m: float = 85.0
    noise_m: float = 0.007
    ring_bias_m: float = 0.010
    lost: float = 0.0
    lost_per_m: float = 0.002
    lost_from_m: float = 25.0
    sweeps_per_s: float = 10.0

    def ring_offsets(self) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """[rings]: the shares of an azimuth step, within +-1/2, by which rings look aside, the same in every sweep: the
        lasers of a real sensor do not fire in one plane, so that its points do not stand above each other."""
        return np.random.default_rng(65).uniform(-0.5, 0.5, len(self.elevations_deg))

    def ring_biases_m(self) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """[rings]: what the sensor's calibration leaves, the same in every sweep."""
        return np.random.default_rng(64).normal(0.0, self.ring_bias_m, len(self.elevations_deg))


HDL_64E = Sensor(tuple(float(angle) for angle in _HDL_64E_DEG.split()))
"""The sensor of KITTI and SemanticKITTI, mounted as there."""
