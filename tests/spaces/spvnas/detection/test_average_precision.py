"""KITTI's average precision on cases that were worked out by hand from the development kit's rules."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from coevo.errors import InputError, UnknownName  # noqa: E402
from coevo.spaces.spvnas.detection.kitti.average_precision import (  # noqa: E402
    LOOSE_OVERLAPS,
    average_precision,
    evaluate,
    recall_thresholds,
)
from coevo.spaces.spvnas.detection.kitti.objects import Object  # noqa: E402


def thing(kind="Car", x=0.0, z=20.0, score=None, height_px=60.0, occlusion=0, truncation=0.0, left=0.0, **more):
    """2 m x 2 m seen from above, 2 m high, upright on y = 0."""
    sides = {"height": 2.0, "width": 2.0, "length": 2.0} | more
    place = (left, 100.0, left + 50.0, 100.0 + height_px)
    return Object(kind, truncation, occlusion, 0.0, place, **sides, location=(x, 0.0, z), rotation_y=0.0, score=score)


def dont_care(left=0.0, top=100.0, right=50.0, bottom=160.0):
    return Object("DontCare", -1.0, -1, -10.0, (left, top, right, bottom), -1.0, -1.0, -1.0,
                  (-1000.0, -1000.0, -1000.0), -10.0)  # fmt: skip


def ap(truths, detections, kind="Car", metric="bev", difficulty="moderate", least=None):
    return average_precision(truths, detections, kind, metric, difficulty, least)


def test_everything_found_and_nothing_else_is_100_percent():
    truths = [[thing(x=10.0 * i) for i in range(5)] for _ in range(8)]  # 40 truths
    found = [[replace(each, score=0.9 - 0.01 * i - 0.1 * f) for i, each in enumerate(frame)]
             for f, frame in enumerate(truths)]  # fmt: skip
    result = ap(truths, found)
    # 40 right ones give thresholds at recalls 1/40 .. 1: forty of the 41 places; the 41st stays 0, so AP|R40 over
    # places 1 .. 40 is 39/40, and AP|R11 over places 0, 4, .. 40 is 10/11: the kit says so too
    assert result.truths == 40
    assert result.ap_40 == pytest.approx(100 * 39 / 40)
    assert result.ap_11 == pytest.approx(100 * 10 / 11)
    assert result.precisions[39] == 100.0 and result.precisions[40] == 0.0


def test_more_truths_than_recalls_reach_100_percent():
    truths = [[thing(x=10.0 * i) for i in range(5)] for _ in range(20)]  # 100 truths
    found = [[replace(each, score=0.999 - 0.01 * i - 0.05 * f) for i, each in enumerate(frame)]
             for f, frame in enumerate(truths)]  # fmt: skip
    assert ap(truths, found).ap_40 == pytest.approx(100.0)
    assert ap(truths, found).ap_11 == pytest.approx(100.0)


def test_one_truth_fills_the_first_place_alone():
    result = ap([[thing()]], [[thing(score=0.5)]])
    assert result.ap_11 == pytest.approx(100 / 11) and result.ap_40 == 0.0


def test_thresholds_by_hand():
    # 4 truths, 3 found. Recalls so far 1/4, 2/4, 3/4; wanted 0, 1/40, 2/40: each next is further away, so all stay
    assert recall_thresholds([0.3, 0.9, 0.6], 4) == [0.9, 0.6, 0.3]
    # 80 truths: recalls step by 1/80. Wanted 0: 1/80 is nearer than 2/80. Wanted 1/40 = 2/80: 2/80 hits. Wanted 4/80:
    # 3/80 is further than 4/80, skipped; and so on: the 1st, 2nd, 4th, 6th ...
    scores = [1 - 0.01 * i for i in range(80)]
    found = recall_thresholds(scores, 80)
    assert found == [scores[0], *scores[1::2]] and len(found) == 41
    assert recall_thresholds([], 5) == []


def test_a_false_positive_lowers_the_precisions_it_precedes():
    # 2 truths; by score: right 0.9, wrong 0.8, right 0.7. Thresholds 0.9 and 0.7: precision 1/1, then 2/3; the best
    # from there on: places 0 and 1
    truths = [[thing(), thing(x=10.0)]]
    found = [[thing(score=0.9), thing(x=50.0, score=0.8), thing(x=10.0, score=0.7)]]
    result = ap(truths, found)
    assert result.precisions[:3] == pytest.approx((100.0, 200 / 3, 0.0))
    assert result.ap_40 == pytest.approx(200 / 3 / 40) and result.ap_11 == pytest.approx(100 / 11)


def test_precision_is_the_best_from_there_on():
    # by score: wrong 0.95, right 0.9, right 0.7: precisions 1/2 and 2/3, so 2/3 at both places
    truths = [[thing(), thing(x=10.0)]]
    found = [[thing(x=50.0, score=0.95), thing(score=0.9), thing(x=10.0, score=0.7)]]
    assert ap(truths, found).precisions[:3] == pytest.approx((200 / 3, 200 / 3, 0.0))


def test_a_second_detection_of_a_truth_is_wrong():
    truths = [[thing(), thing(x=10.0)]]
    found = [[thing(score=0.9), thing(x=0.1, score=0.8), thing(x=10.0, score=0.7)]]
    # the twin overlaps 1.9 / 2.1 = 0.905 > 0.7, but the truth is taken
    assert ap(truths, found).precisions[:2] == pytest.approx((100.0, 200 / 3))


def test_the_overlap_must_be_more_than_the_least():
    # 2 x 2 squares moved by 0.5: 3 / 5 = 0.6; by 1: 1/3
    assert ap([[thing()]], [[thing(x=0.5, score=0.5)]]).precisions[0] == 0.0
    assert ap([[thing()]], [[thing(x=0.5, score=0.5)]], least=0.5).precisions[0] == 100.0
    assert ap([[thing()]], [[thing(x=0.5, score=0.5)]], least=0.6 + 1e-9).precisions[0] == 0.0
    walker, found = thing("Pedestrian"), thing("Pedestrian", x=0.5, score=0.5)
    assert ap([[walker]], [[found]], "Pedestrian").precisions[0] == 100.0  # 0.5 is enough for people
    far = replace(found, location=(1.0, 0.0, 20.0))  # 1/3
    assert ap([[walker]], [[far]], "Pedestrian").precisions[0] == 0.0
    loose = evaluate([[walker]], [[far]], ("Pedestrian",), ("bev",), LOOSE_OVERLAPS)
    assert loose["Pedestrian"]["bev"]["easy"].precisions[0] == 100.0


def test_bev_and_3d_differ_by_height():
    # half the height is shared: from above all, in space 1/3
    low = replace(thing(score=0.5), location=(0.0, 1.0, 20.0))
    assert ap([[thing()]], [[low]], metric="bev").precisions[0] == 100.0
    assert ap([[thing()]], [[low]], metric="3d").precisions[0] == 0.0
    assert ap([[thing()]], [[low]], metric="3d", least=0.3).precisions[0] == 100.0


def test_a_turned_box_in_the_cameras_frame():
    long = thing(length=4.0)
    turned = replace(long, rotation_y=math.pi / 2, score=0.5)  # along z: a cross, 4 / 12
    assert ap([[long]], [[turned]], least=0.34).precisions[0] == 0.0
    assert ap([[long]], [[turned]], least=0.33).precisions[0] == 100.0
    # turned, it holds what lies further away: moved by 1 along z it shares 3/4 of the length, 6 / 10
    standing, moved = replace(long, rotation_y=math.pi / 2), replace(turned, location=(0.0, 0.0, 21.0))
    assert ap([[standing]], [[moved]], least=0.59).precisions[0] == 100.0
    assert ap([[standing]], [[moved]], least=0.61).precisions[0] == 0.0
    slanted = replace(long, rotation_y=0.4, score=0.5)
    mirrored = replace(long, rotation_y=-0.4)
    assert ap([[replace(slanted, score=None)]], [[slanted]], least=0.999).precisions[0] == 100.0
    assert ap([[mirrored]], [[slanted]], least=0.7).precisions[0] == 0.0


@pytest.mark.parametrize(
    ("truth", "counts"),
    [
        (thing(), (1, 1, 1)),
        (thing(height_px=40.0), (1, 1, 1)),
        (thing(height_px=39.0), (0, 1, 1)),
        (thing(height_px=24.0), (0, 0, 0)),
        (thing(occlusion=1), (0, 1, 1)),
        (thing(occlusion=2), (0, 0, 1)),
        (thing(occlusion=3), (0, 0, 0)),
        (thing(truncation=0.15), (1, 1, 1)),
        (thing(truncation=0.2), (0, 1, 1)),
        (thing(truncation=0.5), (0, 0, 1)),
        (thing(truncation=0.51), (0, 0, 0)),
        (thing("Van"), (0, 0, 0)),
        (thing("Pedestrian"), (0, 0, 0)),
    ],
)
def test_which_truths_count_at_a_difficulty(truth, counts):
    found = tuple(ap([[truth]], [[]], difficulty=each).truths for each in ("easy", "moderate", "hard"))
    assert found == counts
    assert math.isnan(ap([[truth]], [[]]).ap_40) == (counts[1] == 0)


def test_what_finds_an_ignored_truth_is_neither_right_nor_wrong():
    for hidden in (thing("Van"), thing(occlusion=3), thing(truncation=0.9), thing(height_px=10.0)):
        truths = [[hidden, thing(x=10.0)]]
        found = [[thing(score=0.9), thing(x=10.0, score=0.8)]]
        assert ap(truths, found).precisions[0] == 100.0, hidden
    # a truck is no neighbour: what finds it as a car is wrong
    assert ap([[thing("Truck"), thing(x=10.0)]], [[thing(score=0.9), thing(x=10.0, score=0.8)]]).precisions[0] == 50.0
    # people who sit are ignored where pedestrians are asked for
    sitting = [[thing("Person_sitting"), thing("Pedestrian", x=10.0)]]
    people = [[thing("Pedestrian", score=0.9), thing("Pedestrian", x=10.0, score=0.8)]]
    assert ap(sitting, people, "Pedestrian").precisions[0] == 100.0


def test_low_detections_are_ignored_whatever_their_class():
    truths = [[thing(), thing(x=10.0)]]
    low = thing(x=50.0, score=0.95, height_px=24.0)
    assert ap(truths, [[low, thing(score=0.9)]]).precisions[0] == 100.0
    assert ap(truths, [[replace(low, image_box=(0.0, 0.0, 9.0, 25.0)), thing(score=0.9)]]).precisions[0] == 50.0
    # 25.9 px are cut to 25 whole ones, and enough
    assert ap(truths, [[replace(low, image_box=(0.0, 0.0, 9.0, 25.9)), thing(score=0.9)]]).precisions[0] == 50.0
    # the kit asks no low detection for its class: a low pedestrian takes the car it lies on, which is then neither
    # missed nor right
    walker = thing("Pedestrian", score=0.99, height_px=10.0)
    assert ap(truths, [[walker, thing(x=10.0, score=0.8)]]).precisions[0] == 100.0
    assert ap([[thing()]], [[walker]]).precisions[0] == 0.0


def test_at_a_threshold_the_largest_overlap_wins_and_before_the_highest_score():
    # truth A at 0; detections: a poor one (x = 0.3: 1.7 / 2.3 = 0.739) of score 0.9, an exact one of 0.6. The threshold
    # comes of 0.9: there the poor one is right, alone: 1/1. One truth, so one place
    found = [[thing(x=0.3, score=0.9), thing(score=0.6)]]
    assert ap([[thing()]], found).precisions[0] == 100.0
    # a second truth, found at 0.5: thresholds 0.9 and 0.5. At 0.5 the exact one is right and the poor one wrong, with
    # the second: 2 / 3
    found[0].append(thing(x=10.0, score=0.5))
    assert ap([[thing(), thing(x=10.0)]], found).precisions[:2] == pytest.approx((100.0, 200 / 3))


def test_dont_care_regions_forgive_in_the_image():
    # the wrong car lies to 100 % in a region of the image: forgiven there; boxes in space know no such region, as in
    # the kit, whose DontCares have no place
    truths = [[thing(left=300.0), thing(x=10.0, left=400.0), dont_care(0.0, 90.0, 60.0, 170.0)]]
    found = [[thing(left=300.0, score=0.9), thing(x=50.0, left=0.0, score=0.95)]]
    assert ap(truths, found, metric="image").precisions[0] == 100.0
    assert ap(truths, found, metric="bev").precisions[0] == 50.0
    # 0.7 of the detection must lie within: 30 of 50 px do not do
    short = [[*truths[0][:2], dont_care(0.0, 90.0, 30.0, 170.0)]]
    assert ap(short, found, metric="image").precisions[0] == 50.0
    # two regions forgive it once
    twice = [[*truths[0], dont_care(0.0, 80.0, 60.0, 180.0)]]
    assert ap(twice, found, metric="image").precisions[0] == 100.0


def test_image_overlap_by_hand():
    # 50 x 60 px moved by 10: 40 / 60 = 0.667, not more than 0.7; by 5: 45 / 55 = 0.818
    truth = [[thing(left=100.0)]]
    assert ap(truth, [[thing(left=110.0, score=0.5)]], metric="image").precisions[0] == 0.0
    assert ap(truth, [[thing(left=105.0, score=0.5)]], metric="image").precisions[0] == 100.0


def test_frames_are_told_apart():
    truths = [[thing()], [thing(x=10.0)]]
    assert ap(truths, [[thing(x=10.0, score=0.9)], [thing(score=0.8)]]).precisions[0] == 0.0
    assert ap(truths, [[thing(score=0.9)], [thing(x=10.0, score=0.8)]]).precisions[:2] == (100.0, 100.0)


def test_wrong_questions_are_told():
    with pytest.raises(UnknownName, match=r"unknown class 'Cars'.*Did you mean 'Car'"):
        ap([[]], [[]], kind="Cars")
    with pytest.raises(UnknownName, match="unknown metric"):
        ap([[]], [[]], metric="4d")
    with pytest.raises(UnknownName, match="unknown difficulty"):
        ap([[]], [[]], difficulty="impossible")
    with pytest.raises(InputError, match="truth has 2 frames and detections 1"):
        ap([[], []], [[]])
    with pytest.raises(InputError, match="detections of frame 0 has the score None"):
        ap([[]], [[thing()]])
    with pytest.raises(InputError, match="the score nan"):
        ap([[]], [[thing(score=math.nan)]])


def literal_counts(truths, found, overlaps, standing, low, kind, least, threshold):
    """The kit's `computeStatistics`, loop by loop."""
    compute_fp = threshold is not None
    threshold = -math.inf if threshold is None else threshold
    assigned = [False] * len(found)
    right, wrong, missed, scores = 0, 0, 0, []
    ignored_found = [1 if low[j] else (0 if found[j].type == kind else -1) for j in range(len(found))]
    for i in range(len(truths)):
        if standing[i] == -1:
            continue
        chosen, valid, largest, took_ignored = -1, -1e7, 0.0, False
        for j in range(len(found)):
            if ignored_found[j] == -1 or assigned[j] or (compute_fp and found[j].score < threshold):
                continue
            overlap = overlaps[j][i]
            if not compute_fp and overlap > least and found[j].score > valid:
                chosen, valid = j, found[j].score
            elif compute_fp and overlap > least and (overlap > largest or took_ignored) and ignored_found[j] == 0:
                largest, chosen, valid, took_ignored = overlap, j, 1, False
            elif compute_fp and overlap > least and valid == -1e7 and ignored_found[j] == 1:
                chosen, valid, took_ignored = j, 1, True
        if valid == -1e7 and standing[i] == 0:
            missed += 1
        elif valid != -1e7 and (standing[i] == 1 or ignored_found[chosen] == 1):
            assigned[chosen] = True
        elif valid != -1e7:
            right += 1
            scores.append(found[chosen].score)
            assigned[chosen] = True
    if compute_fp:
        for j in range(len(found)):
            wrong += not (assigned[j] or ignored_found[j] != 0 or found[j].score < threshold)
    return right, wrong, missed, scores


@pytest.mark.parametrize("seed", range(6))
def test_random_frames_as_the_kit_counts_them(seed):
    import random

    from coevo.spaces.spvnas.detection.overlap import plain_bev_overlap

    rng, least = random.Random(seed), 0.3

    def draw(score):
        kind = rng.choice(["Car", "Car", "Car", "Van", "Pedestrian"])
        return thing(kind, x=2.0 * rng.randint(0, 4) + rng.uniform(-0.7, 0.7), height_px=rng.choice([60.0, 20.0, 60.0]),
                     occlusion=rng.choice([0, 0, 3]) if score is None else -1, score=score)  # fmt: skip

    truths = [[draw(None) for _ in range(rng.randint(0, 6))] for _ in range(12)]
    found = [[draw(rng.choice([rng.random(), 0.5])) for _ in range(rng.randint(4, 10))] for _ in range(12)]
    cases = []
    for true, seen in zip(truths, found, strict=True):
        overlaps = [[plain_bev_overlap(a.upright, b.upright) for b in true] for a in seen]
        standing = [
            1 if t.type == "Van" else -1 if t.type != "Car" else int(t.occlusion > 1 or t.image_box[3] - 100 < 25)
            for t in true
        ]
        cases.append((true, seen, overlaps, standing, [f.image_box[3] - 100 < 25 for f in seen], "Car", least))
    total = sum(standing.count(0) for _, _, _, standing, *_ in cases)
    scores = [score for case in cases for score in literal_counts(*case, None)[3]]
    precisions = [0.0] * 41
    for place, threshold in enumerate(recall_thresholds(scores, total)):
        counts = [literal_counts(*case, threshold) for case in cases]
        right, wrong = sum(each[0] for each in counts), sum(each[1] for each in counts)
        precisions[place] = 100 * right / (right + wrong) if right + wrong else 0.0
    best = [max(precisions[place:]) for place in range(41)]
    result = ap(truths, found, least=least)
    assert result.truths == total > 3 and best[0] > 0
    assert result.precisions == pytest.approx(best)
    assert result.ap_40 == pytest.approx(sum(best[1:]) / 40) and result.ap_11 == pytest.approx(sum(best[::4]) / 11)
