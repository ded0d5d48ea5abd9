"""Steps of a program of ours and of its twin in torch, in turns: both meet the same machine."""
import statistics
import subprocess
import sys
import time

import torch

WARM_UP = 5


class Ours:
    """A program that takes a step a line and answers with its milliseconds."""

    def __init__(self, *command):
        self.child = subprocess.Popen(command, text=True, bufsize=1, stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE)

    def step(self):
        self.child.stdin.write("step\n")
        return float(self.child.stdout.readline().split()[0])

    def close(self):
        self.child.stdin.close()
        self.child.wait()


def timed(side):
    start = time.perf_counter()
    ms = side.step()
    return ms if ms is not None else 1e3 * (time.perf_counter() - start)


def compare(label, threads, command, make_twin, steps):
    """Medians, minima and torch's over ours on a line; returns the medians' ratio. What the twin's
    step() gives are its milliseconds, or None: all of it counts."""
    torch.manual_seed(0)
    torch.set_num_threads(threads)
    sides = {"ours": Ours(*command), "torch": make_twin()}
    times = {name: [] for name in sides}
    for i in range(WARM_UP + steps):
        for name, side in sides.items():
            ms = timed(side)
            time.sleep(.01)  # the other side's idle threads go to sleep
            if i >= WARM_UP:
                times[name].append(ms)
    sides["ours"].close()
    print("%-42s %d thread%s" % (label, threads, " " if threads == 1 else "s"), end="")
    for name, all_ms in times.items():
        print("  %s %.2f ms (min %.2f)" % (name, statistics.median(all_ms), min(all_ms)), end="")
    ratio = statistics.median(times["torch"]) / statistics.median(times["ours"])
    print("  %.2fx (min %.2fx)" % (ratio, min(times["torch"]) / min(times["ours"])), flush=True)
    return ratio


def option(name, otherwise):
    return int(sys.argv[sys.argv.index(name) + 1]) if name in sys.argv else otherwise
