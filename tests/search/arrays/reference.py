"""The evolution of `coevo.search.arrays` for one problem, slowly: a loop a child, a loop a gene, plain numbers.

It reads the same uniform numbers in the same order, and so must come to the same populations, bit by bit.
"""

import math

import numpy as np


class Reference:
    """`whole` is [(low, size, ordinal)], `reals` [(low, high, log)], `orders` [(count, length)] by group."""

    def __init__(self, whole, reals, orders, fitness, seed, settings):
        self.whole, self.reals, self.orders, self.fitness, self.settings = whole, reals, orders, fitness, settings
        self.stream = np.random.Generator(np.random.PCG64(seed))
        genes = len(whole) + len(reals) + sum(count for count, _ in orders)
        self.rate = 1.0 / genes if settings.mutation is None else settings.mutation

    def run(self, evaluations):
        """[(genome, cost, violation)] from best to worst, and the history."""
        count = population = min(self.settings.population, evaluations)
        members = self.select([], [self.judged(genome) for genome in self.first(count)], population)
        done, history = count, [self.feasible(members[0])]
        while done < evaluations:
            count = min(population, evaluations - done)
            children = [self.judged(genome) for genome in self.children(members, count)]
            members = self.select(children, members, population)
            done += count
            history.append(min(history[-1], self.feasible(members[0])))
        return members, history

    def block(self, count, widths):
        """For each width, `count` rows of so many numbers."""
        drawn = self.stream.random(count * sum(widths)).tolist()
        rows, begin = [], 0
        for width in widths:
            rows.append([drawn[begin + i * width : begin + (i + 1) * width] for i in range(count)])
            begin += count * width
        return rows

    def first(self, count):
        widths = [len(self.whole), len(self.reals), *(orders * length for orders, length in self.orders)]
        numbers, reals, *keys = self.block(count, widths)
        for i in range(count):
            whole = [int(u * size) for u, (_, size, _) in zip(numbers[i], self.whole, strict=True)]
            groups = []
            for (orders, length), group in zip(self.orders, keys, strict=True):
                groups.append([self.sorted(group[i][o * length : (o + 1) * length]) for o in range(orders)])
            yield whole, list(reals[i]), groups

    def children(self, members, count):
        plain = len(self.whole) + len(self.reals)
        widths = [2 * self.settings.tournament, 1, plain, len(self.whole), len(self.reals)]
        for orders, length in self.orders:
            widths += [orders * length, orders * 3]
        chosen, mate, cross, vary_whole, vary_reals, *rest = self.block(count, widths)
        for i in range(count):
            size = self.settings.tournament
            mother, father = (
                members[min(int(u * len(members)) for u in chosen[i][p * size : (p + 1) * size])][0] for p in (0, 1)
            )
            mates = mate[i][0] < self.settings.crossover
            pick = [mates and u < 0.5 for u in cross[i]]
            whole = [b if p else a for a, b, p in zip(mother[0], father[0], pick[: len(self.whole)], strict=True)]
            reals = [b if p else a for a, b, p in zip(mother[1], father[1], pick[len(self.whole) :], strict=True)]
            for column, u in enumerate(vary_whole[i]):
                if u < self.rate:
                    whole[column] = self.varied(whole[column], u / self.rate, *self.whole[column][1:])
            for column, u in enumerate(vary_reals[i]):
                if u < self.rate:
                    reals[column] = self.polynomial(reals[column], u / self.rate)
            groups = []
            for g, (orders, length) in enumerate(self.orders):
                keys, moves = rest[2 * g][i], rest[2 * g + 1][i]
                groups.append(
                    [
                        self.order(
                            mother[2][g][o],
                            father[2][g][o],
                            mates,
                            keys[o * length : (o + 1) * length],
                            moves[3 * o : 3 * o + 3],
                        )
                        for o in range(orders)
                    ]
                )
            yield whole, reals, groups

    def varied(self, value, draw, size, ordinal):
        if size == 1:
            return value
        if not ordinal:
            other = int(draw * (size - 1))
            return other + (other >= value)
        down = draw < 0.5
        rest = 2.0 * draw if down else 2.0 * draw - 1.0
        steps = int(float(np.exp(rest * float(np.log(size)))))
        target = value - steps if down else value + steps
        if not 0 <= target < size:
            target = min(max(2 * value - target, 0), size - 1)
            if target == value:
                target = 1 if value == 0 else value - 1
        return target

    def polynomial(self, x, u):
        eta = self.settings.eta
        rest = float(np.power(1.0 - x if u < 0.5 else x, eta + 1.0))
        inner = 2.0 * u + (1.0 - 2.0 * u) * rest if u < 0.5 else 2.0 * (1.0 - u) + 2.0 * (u - 0.5) * rest
        step = float(np.power(inner, 1.0 / (eta + 1.0)))
        return min(max(x + (step - 1.0 if u < 0.5 else 1.0 - step), 0.0), 1.0)

    def order(self, mother, father, mates, uniform, move):
        keys, left = list(mother), set(range(len(mother)))
        while mates and left:
            first = item = min(left)
            while item in left:
                left.remove(item)
                if uniform[first] < 0.5:
                    keys[item] = father[item]
                item = mother.index(father[item])
        length = len(keys)
        if length > 1 and move[0] < self.rate:
            i, j = int(move[1] * length), int(move[2] * (length - 1))
            j += j >= i
            if move[0] / self.rate < 0.5:
                keys[i], keys[j] = keys[j], keys[i]
            else:
                keys[i] = keys[j] + 1e-9 if keys[i] < keys[j] else keys[j] - 1e-9
        return self.sorted(keys)

    @staticmethod
    def sorted(keys):
        """The place of each item."""
        places = [0] * len(keys)
        for place, item in enumerate(sorted(range(len(keys)), key=lambda item: keys[item])):
            places[item] = place
        return places

    def value(self, genome):
        """What the fitness sees: whole numbers, reals, and orders by place."""
        whole, reals, groups = genome
        numbers = [x + low for x, (low, _, _) in zip(whole, self.whole, strict=True)]
        decoded = []
        for x, (low, high, log) in zip(reals, self.reals, strict=True):
            start, end = (float(np.log(low)), float(np.log(high))) if log else (low, high)
            number = start + x * (end - start)
            decoded.append(min(max(float(np.exp(number)) if log else number, low), high))
        items = [[sorted(range(len(places)), key=places.__getitem__) for places in group] for group in groups]
        return numbers, decoded, items

    def judged(self, genome):
        cost, violation = self.fitness(*self.value(genome))
        return genome, cost, max(violation, 0.0)

    def select(self, children, parents, count):
        ranked = sorted(children + parents, key=lambda member: (member[2], member[1]))
        if not self.settings.distinct:
            return ranked[:count]
        seen, fresh, again = set(), [], []
        for member in ranked:
            name = repr(member[0])
            (again if name in seen else fresh).append(member)
            seen.add(name)
        return (fresh + again)[:count]

    @staticmethod
    def feasible(member):
        return member[1] if member[2] <= 0.0 else math.inf
