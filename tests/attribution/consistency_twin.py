"""How consistent maps are, by brute force: one k-mer at a time."""

import math

import numpy as np
from scipy import stats


def twin(maps, window=3, share=0.1, bins=31):
    """Consistency of maps (n, L, 4), none of them zero."""
    points = []
    for own in maps.astype(float):
        places = []
        for a, c, g, t in own:
            mean = (a + c + g + t) / 4
            a, c, g, t = a - mean, c - mean, g - mean, t - mean
            x = math.sqrt(2 / 3) * (g - a / 2 - c / 2)
            y = math.sqrt(3 / 4) * (t - a / 3 - c / 3 - g / 3)
            places.append((x, y, (c - a) / math.sqrt(2)))
        size = sum(math.hypot(*place) for place in places)
        for start in range(len(places) - window + 1):
            kmer = places[start : start + window]
            points.append([sum(axis) / size for axis in zip(*kmer, strict=True)])
    points.sort(key=lambda point: -math.hypot(*point))
    last = math.hypot(*points[max(1, math.floor(share * len(points))) - 1])
    boxes = {}
    for x, y, z in points:
        r = math.hypot(x, y, z)
        if r == 0 or (r < last and not math.isclose(r, last, rel_tol=1e-6)):
            continue
        turn = (math.atan2(y, x) / math.pi + 1) / 2
        box = min(bins - 1, int(turn * bins)), min(bins - 1, int((z / r + 1) / 2 * bins))
        boxes[box] = boxes.get(box, 0) + r * r
    p = [boxes.get((i, j), 0) for i in range(bins) for j in range(bins)]
    return stats.entropy(p, np.full(bins * bins, 1 / bins**2))
