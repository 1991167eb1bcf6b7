"""Memory and CPU of processes over time, looked at every second by a thread."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Self

import psutil


@dataclass(slots=True)
class Track:
    """One process: (seconds since the beginning, resident bytes, CPU seconds used since then)."""

    points: list[tuple[float, int, float]] = field(default_factory=list)

    def row(self) -> dict[str, Any]:
        """For JSON: MB at the beginning, the quarters and the end, the most, and CPU seconds in all."""
        sizes = [size for _, size, _ in self.points]
        places = [round(quarter / 4 * (len(sizes) - 1)) for quarter in range(5)]
        return {
            "megabytes": [round(sizes[place] / 1e6, 1) for place in places],
            "most": round(max(sizes) / 1e6, 1),
            "cpuSeconds": round(self.points[-1][2], 2),
        }


class Watch:
    """Looks at the processes from `with` to its end. `pids` by name; a process that ends is dropped."""

    def __init__(self, pids: Mapping[str, int], every: float = 1.0) -> None:
        self._processes = {name: psutil.Process(pid) for name, pid in pids.items()}
        self._before = {name: _cpu(process) for name, process in self._processes.items()}
        self._every, self._began, self._over = every, monotonic(), threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.tracks = {name: Track() for name in pids}

    def rows(self) -> dict[str, dict[str, Any]]:
        """Of each process that could be looked at."""
        return {name: track.row() for name, track in self.tracks.items() if track.points}

    def series(self, every: int = 5) -> dict[str, list[tuple[int, float]]]:
        """Each `every`-th look: (second, MB)."""
        return {
            name: [(round(at), round(size / 1e6, 1)) for at, size, _ in track.points[::every]]
            for name, track in self.tracks.items()
        }

    def _run(self) -> None:
        while not self._over.wait(self._every):
            self._look()

    def _look(self) -> None:
        at = monotonic() - self._began
        for name, process in list(self._processes.items()):
            try:
                point = (at, process.memory_info().rss, _cpu(process) - self._before[name])
            except psutil.Error:
                del self._processes[name]
                continue
            self.tracks[name].points.append(point)

    def __enter__(self) -> Self:
        self._look()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(10)
        self._look()


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
