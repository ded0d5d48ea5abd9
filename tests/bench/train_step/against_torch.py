"""One ACMR training step, ours against PyTorch's, step by step in turn.

usage: against_torch.py BENCH-TRAIN-STEP [--force] [--steps N]

Medians of 30 steps each (after 5 to warm up), at 1 and 2 threads, for the demo's and the paper's
widths. A busy machine is refused: its figures would be its own, not the programs'. The torch side
is what a careful user writes: fused Adam, gradients set to None, distances by cdist's direct form.
"""
import os
import statistics
import subprocess
import sys
import time

import torch
import torch.nn.functional as F

BATCH, CLASSES, WARM_UP = 64, 10, 5
WIDTHS = (((4096, 512, 100, 40), (5000, 40, 100, 40)), ((4096, 2000, 200), (5000, 500, 200)))
BUSY = 0.15  # of all cores, over a second


class Reverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, l):
        ctx.l = l
        return x.view_as(x)

    @staticmethod
    def backward(ctx, gradient):
        return -ctx.l * gradient, None


def projector(widths):
    layers = []
    for n_in, n_out in zip(widths, widths[1:]):
        layers += [torch.nn.Linear(n_in, n_out), torch.nn.Tanh()]
    return torch.nn.Sequential(*layers)


class Torch:
    def __init__(self, image, text):
        code = image[-1]
        self.fv, self.ft = projector(image), projector(text)
        self.cls = torch.nn.Linear(code, CLASSES)
        self.d = torch.nn.Sequential(torch.nn.Linear(code, 50), torch.nn.ReLU(),
                                     torch.nn.Linear(50, 2))
        modules = (self.fv, self.ft, self.cls, self.d)
        self.adam = torch.optim.Adam([p for m in modules for p in m.parameters()], lr=1e-4,
                                     betas=(.5, .999), fused=True)
        self.norms = [p for m in (self.fv, self.ft) for p in m.parameters() if p.dim() == 2]
        self.image, self.text = torch.randn(BATCH, image[0]), torch.randn(BATCH, text[0])
        self.y = torch.arange(BATCH) % CLASSES
        self.ones = torch.ones(BATCH, dtype=torch.long)
        self.zeros = torch.zeros(BATCH, dtype=torch.long)
        self.same = (self.y[:, None] == self.y[None]).float()
        self.other = 1 - self.same

    def contrastive(self, d):
        pull = (d * self.same).sum(1) / self.same.sum(1)
        push = (torch.relu(5 - d) * self.other).sum(1) / self.other.sum(1)
        return (pull + 3 * push).mean()

    def step(self):
        start = time.perf_counter()
        v, t = self.fv(self.image), self.ft(self.text)
        d = torch.cdist(v, t, compute_mode="donot_use_mm_for_euclid_dist")
        loss = self.contrastive(d) + self.contrastive(d.T)
        loss = loss + F.cross_entropy(self.cls(v), self.y) + F.cross_entropy(self.cls(t), self.y)
        loss = loss + .1 * sum(w.norm() for w in self.norms)
        loss = loss + F.cross_entropy(self.d(Reverse.apply(v, .5)), self.ones)
        loss = loss + F.cross_entropy(self.d(Reverse.apply(t, .5)), self.zeros)
        self.adam.zero_grad(set_to_none=True)
        loss.backward()
        self.adam.step()
        return 1e3 * (time.perf_counter() - start)


class Ours:
    def __init__(self, program, threads, image, text):
        widths = [",".join(map(str, w)) for w in (image, text)]
        self.child = subprocess.Popen([program, str(threads)] + widths, text=True, bufsize=1,
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def step(self):
        self.child.stdin.write("step\n")
        return float(self.child.stdout.readline().split()[0])

    def close(self):
        self.child.stdin.close()
        self.child.wait()


def busy():
    def read():
        with open("/proc/stat") as f:
            n = list(map(int, f.readline().split()[1:9]))
        return sum(n), n[3] + n[4]
    total, idle = read()
    time.sleep(1)
    total2, idle2 = read()
    return 1 - (idle2 - idle) / max(total2 - total, 1)


def compare(program, threads, image, text, steps):
    torch.manual_seed(0)
    torch.set_num_threads(threads)
    sides = {"ours": Ours(program, threads, image, text), "torch": Torch(image, text)}
    times = {name: [] for name in sides}
    for i in range(WARM_UP + steps):
        for name, side in sides.items():
            ms = side.step()
            time.sleep(.01)  # the other side's idle threads go to sleep
            if i >= WARM_UP:
                times[name].append(ms)
    sides["ours"].close()
    ours, theirs = (statistics.median(times[n]) for n in ("ours", "torch"))
    print("%d thread%s  %-34s" % (threads, " " if threads == 1 else "s", " / ".join(
        "-".join(map(str, w)) for w in (image, text))), end="")
    for name, all_ms in times.items():
        print("  %s %.2f ms (min %.2f)" % (name, statistics.median(all_ms), min(all_ms)), end="")
    print("  %.2fx" % (theirs / ours), flush=True)
    return theirs >= ours


def main():
    program, options = sys.argv[1], sys.argv[2:]
    steps = int(options[options.index("--steps") + 1]) if "--steps" in options else 30
    load = busy()
    if load > BUSY and "--force" not in options:
        sys.exit("the machine is busy (%.0f %%): no figures. --force measures all the same" %
                 (100 * load))
    print("torch %s, medians of %d steps, machine %.0f %% busy before" %
          (torch.__version__, steps, 100 * load))
    ok = [compare(program, threads, image, text, steps)
          for threads in (1, 2) for image, text in WIDTHS]
    print("at least as fast in %d of %d" % (sum(ok), len(ok)))


if len(sys.argv) < 2:
    sys.exit(__doc__)
main()
