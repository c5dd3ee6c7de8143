"""What starting costs: import, help and demonstration, against a bare interpreter.

Run ``python tests/benchmarks/bench_startup.py``; prints one JSON document of medians in seconds.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time


def median_time(words: list[str], repeats: int, folder: str) -> float:
    """Median wall time of a process."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        subprocess.run(words, check=True, capture_output=True, cwd=folder)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        bare = median_time([sys.executable, "-c", "pass"], 11, folder)
        loaded = median_time([sys.executable, "-c", "import sdespec"], 11, folder)
        shown = median_time([sys.executable, "-m", "sdespec", "--help"], 11, folder)
        demo = median_time([sys.executable, "-m", "sdespec", "demo", "--quiet"], 1, folder)
    print(
        json.dumps(
            {
                "bare_interpreter": bare,
                "import_above_bare": loaded - bare,
                "help": shown,
                "demo": demo,
                "bounds": {"import_above_bare": 0.15, "help": 0.5, "demo": 60.0},
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
