"""NSGA-II's population, kept ready from one environmental selection to the next."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from coevo.search import ranking
from coevo.search.objectives import Score
from coevo.search.ranking import Point
from coevo.search.trial import Trial


class Population:
    """The members that `ranking.survivors` keeps of members and newcomers, selection after selection.

    With one cost or two, no violation and one depth, the members stay sorted by their costs. Where moreover they are
    one full front, as in most of a long search, a newcomer that they beat is turned away by one bisection. All else
    goes through `ranking.survivors` itself.
    """

    def __init__(self, size: int):
        self.size = size
        self.one_front = False  # True where the members are as many as may be and none dominates another
        self._by_age: dict[int, Trial] = {}  # the members in the order of their coming
        self._came = 0
        self._sorted: list[Point] | None = []  # the members by (cost, cost, age); None where that is not enough
        self._depth = 0  # of the sorted ones
        self._measured: list[Point] = []  # what the members were chosen from...
        self._distances: list[float] | None = []  # ...and how crowded that is, once somebody needs it
        self._listed: tuple[list[Trial], list[float]] | None = None

    def __len__(self) -> int:
        return len(self._by_age)

    def members(self) -> tuple[list[Trial], list[float]]:
        """The members in the order of their coming, and the crowding distance of each as it was selected."""
        if self._listed is None:
            if self._distances is None:
                self._distances = ranking.crowding_of_two(self._measured)
            crowding = {point[2]: distance for point, distance in zip(self._measured, self._distances, strict=True)}
            self._listed = list(self._by_age.values()), [crowding[age] for age in self._by_age]
        return self._listed

    def select(self, newcomers: Sequence[Trial]) -> None:
        """Environmental selection among the members and these trials, all of which have a score."""
        self._listed = None
        points = self._points(newcomers)
        if points is None or self._sorted is None:
            self._select_any(newcomers)
        elif not (self.one_front and self._enter_front(newcomers, points)):
            self._select_of_two(newcomers, points)
        self._came += len(newcomers)

    def _points(self, newcomers: Sequence[Trial]) -> list[Point] | None:
        """The newcomers as the sorted members are kept; None where they do not go with them."""
        if not self._by_age and newcomers and newcomers[0].score is not None:
            self._depth = newcomers[0].score.depth
        points: list[Point] = []
        for age, trial in enumerate(newcomers, self._came):
            score = trial.score
            if score is None or score.violation != 0 or score.depth != self._depth or len(score.costs) > 2:
                return None
            points.append((score.costs[0], score.costs[-1], age))
        return points

    def _enter_front(self, newcomers: Sequence[Trial], points: list[Point]) -> bool:
        """Takes newcomers into a full front. False, and nothing is changed, where they beat so many that places are
        left for those of later fronts."""
        assert self._sorted is not None
        front = self._sorted.copy()
        entered: list[tuple[int, Trial]] = []
        beaten: list[Point] = []
        for point, trial in zip(points, newcomers, strict=True):
            first, second, age = point
            place = bisect_right(front, point)
            if place:  # the second cost falls as the first rises, so the neighbour on the left decides
                left = front[place - 1]
                if left[1] <= second and (left[1] != second or left[0] != first):
                    continue
            end = place
            while end < len(front) and front[end][1] >= second:
                end += 1
            beaten += front[place:end]
            front[place:end] = [point]
            entered.append((age, trial))
        surplus = len(front) - self.size
        if surplus < 0:
            return False
        self._by_age.update(entered)
        for point in beaten:
            del self._by_age[point[2]]
        self._measured, self._distances = front, None
        if surplus:
            self._distances = ranking.crowding_of_two(front)
            front = front.copy()
            for place in ranking.most_crowded(self._distances, surplus):
                del self._by_age[front.pop(place)[2]]
        self._sorted = front
        return True

    def _select_of_two(self, newcomers: Sequence[Trial], points: list[Point]) -> None:
        assert self._sorted is not None
        self._by_age.update(zip((point[2] for point in points), newcomers, strict=True))
        fronts = ranking.fronts_of_two(sorted(self._sorted + points))
        chosen, self._distances = ranking.chosen_of_two(fronts, self.size)
        self._measured = chosen
        self.one_front = len(chosen) == self.size and len(chosen) <= len(fronts[0])
        self._sorted = chosen if self.one_front else sorted(chosen)
        if len(chosen) < len(self._by_age):
            self._by_age = {age: self._by_age[age] for age in sorted(point[2] for point in chosen)}

    def _select_any(self, newcomers: Sequence[Trial]) -> None:
        self._by_age.update(enumerate(newcomers, self._came))
        ages, pool = list(self._by_age), list(self._by_age.values())
        scores = [trial.score for trial in pool if trial.score is not None]
        kept, distances = ranking.survivors(scores, self.size)
        self._by_age = {ages[place]: pool[place] for place in kept}
        self.one_front = False
        self._listed = list(self._by_age.values()), distances
        self._sorted = self._all_sorted([scores[place] for place in kept])

    def _all_sorted(self, scores: list[Score]) -> list[Point] | None:
        """The members by their costs, where these are at most two and nothing else tells members apart."""
        self._depth = scores[0].depth
        if any(s.violation != 0 or s.depth != self._depth or len(s.costs) > 2 for s in scores):
            return None
        return sorted((score.costs[0], score.costs[-1], age) for age, score in zip(self._by_age, scores, strict=True))
