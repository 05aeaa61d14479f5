"""The schedule and the solvers, on a Gaussian whose velocity and paths are known."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import pytest
import torch

from coevo.errors import ConfigError
from coevo.spaces.sana.flow.dpm_solver import flow_dpm
from coevo.spaces.sana.flow.euler import flow_euler
from coevo.spaces.sana.flow.schedule import flow_times, log_snr, log_snr_times, shifted, time_of_log_snr

MEAN, STD = 0.7, 0.3


def spread(t: float) -> float:
    return math.sqrt((1 - t) ** 2 * STD**2 + t**2)


def velocity(x: torch.Tensor, t: float) -> torch.Tensor:
    """E[noise - data | x] for data of N(MEAN, STD^2)."""
    signal = 1 - t
    centred = x - signal * MEAN
    return (t - signal * STD**2) / spread(t) ** 2 * centred - MEAN


def exact(x: torch.Tensor, first: float, last: float) -> torch.Tensor:
    """The flow keeps quantiles: the distance from the mean grows as the spread does."""
    return (1 - last) * MEAN + spread(last) / spread(first) * (x - (1 - first) * MEAN)


def errors(solver, times_of, counts: Sequence[int]) -> list[float]:  # type: ignore[no-untyped-def]
    x = torch.tensor([-2.0, -0.4, 0.3, 1.7], dtype=torch.float64)
    found = []
    for count in counts:
        times = times_of(count)
        found.append(float((solver(velocity, x, times) - exact(x, times[0], times[-1])).abs().max()))
    return found


def evenly(count: int) -> list[float]:
    return [0.95 - 0.9 * step / count for step in range(count + 1)]


def in_log_snr(count: int) -> list[float]:
    low, high = log_snr(0.95), log_snr(0.05)
    return [time_of_log_snr(low + (high - low) * step / count) for step in range(count + 1)]


@pytest.mark.parametrize("times_of", [evenly, in_log_snr])
@pytest.mark.parametrize(
    ("solver", "order"),
    [(flow_euler, 1), (lambda v, x, t: flow_dpm(v, x, t, order=1), 1), (flow_dpm, 2)],
    ids=["euler", "dpm-1", "dpm-2"],
)
def test_solvers_have_their_order(solver, order: int, times_of) -> None:  # type: ignore[no-untyped-def]
    found = errors(solver, times_of, (64, 128, 256, 512))
    slopes = [math.log2(coarse / fine) for coarse, fine in itertools.pairwise(found)]
    assert slopes[-1] == pytest.approx(order, abs=0.1)
    assert all(order - 0.3 < slope < order + 0.5 for slope in slopes)


def test_the_first_order_of_both_is_the_same_step() -> None:
    x = torch.tensor([-1.0, 0.5], dtype=torch.float64)
    times = flow_times(7)
    torch.testing.assert_close(flow_dpm(velocity, x, times, order=1), flow_euler(velocity, x, times))


def test_the_second_order_is_nearer_at_equal_steps() -> None:
    for steps in (20, 50):
        (euler,), (dpm,) = errors(flow_euler, flow_times, [steps]), errors(flow_dpm, flow_times, [steps])
        assert dpm < euler / 1.5


def test_steps_even_in_log_snr_are_nearer_where_they_are_few() -> None:
    """The last step is Euler's; the shifted times make it a long one."""
    for steps in (10, 20):
        (even,), (times,) = errors(flow_dpm, log_snr_times, [steps]), errors(flow_dpm, flow_times, [steps])
        assert even < times / 4


def test_one_step_is_the_prediction_of_the_data() -> None:
    x = torch.tensor([0.2, 3.0], dtype=torch.float64)
    (first, last) = flow_times(1)
    assert last == 0
    torch.testing.assert_close(flow_dpm(velocity, x, (first, 0.0)), x - first * velocity(x, first))


def test_sampling_may_begin_at_pure_noise() -> None:
    x = torch.tensor([0.2, 3.0], dtype=torch.float64)
    times = (1.0, *flow_times(200)[1:])
    torch.testing.assert_close(flow_dpm(velocity, x, times), exact(x, 1.0, 0.0), atol=2e-2, rtol=0)


@pytest.mark.parametrize("time", [1e-9, 1e-3, 0.25, 0.5, 0.75, 0.99, 1 - 1e-9])
def test_the_inverse_of_log_snr(time: float) -> None:
    assert time_of_log_snr(log_snr(time)) == pytest.approx(time, rel=1e-6)


def test_log_snr_at_the_ends() -> None:
    assert log_snr(0.0) == math.inf
    assert log_snr(1.0) == -math.inf
    assert (time_of_log_snr(math.inf), time_of_log_snr(-math.inf)) == (0.0, 1.0)
    assert time_of_log_snr(0.0) == 0.5


def test_times_of_sampling() -> None:
    times = flow_times(4, shift=1.0)
    assert times == pytest.approx((0.999, 0.74925, 0.4995, 0.24975, 0.0))
    assert flow_times(4) == pytest.approx([shifted(each, 3.0) for each in times])
    assert shifted(1.0, 3.0) == 1.0
    even = log_snr_times(6)
    gaps = [log_snr(after) - log_snr(now) for now, after in itertools.pairwise(even[:-1])]
    assert gaps == pytest.approx([gaps[0]] * 5)
    assert (len(even), even[0], even[-2], even[-1]) == (7, pytest.approx(0.999), pytest.approx(0.001), 0.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: flow_times(0), "0 steps of sampling"),
        (lambda: flow_times(4, shift=0.0), "a shift of 0.0"),
        (lambda: log_snr_times(4, 0.1, 0.5), "times from 0.1 to 0.5"),
        (lambda: flow_euler(velocity, torch.zeros(1), [0.5]), "at least two times"),
        (lambda: flow_dpm(velocity, torch.zeros(1), [0.5, 0.5, 0.0]), "fall strictly"),
        (lambda: flow_dpm(velocity, torch.zeros(1), [1.2, 0.5]), "from at most 1"),
    ],
)
def test_times_that_make_no_path(call, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ConfigError, match=message):
        call()
