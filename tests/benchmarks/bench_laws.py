"""What the dearest law costs; prints one JSON document.

Run ``python tests/benchmarks/bench_laws.py``.
"""

import json
import time

import numpy as np

from sdespec.laws import BetaLaguerre


def main() -> None:
    """Measure and print: set-up of a new law, then the best of five evaluations at 1000 points."""
    report = {}
    for c, a in ((2.0, 0.5), (2000.0, 2000.0)):
        law = BetaLaguerre(c, a)
        points = np.linspace(0.1, 2.0, 1000) * law.mean()
        start = time.perf_counter()
        law.pdf(points)
        row = {"set_up_s": time.perf_counter() - start}
        for name in ("pdf", "cdf"):
            times = []
            for _ in range(5):
                start = time.perf_counter()
                getattr(law, name)(points)
                times.append(time.perf_counter() - start)
            row[f"{name}_1000_points_ms"] = 1e3 * min(times)
        report[f"c={c:g}, a={a:g}"] = row
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
