"""One training step of each method, ours against PyTorch's, step by step in turn.

usage: against_torch.py BENCH-TRAIN-STEP [--force] [--steps N] [--method NAME]

Medians of 30 steps each (after 5 to warm up), at 1 and 2 threads. ACMR and MNS-GAN: the demo's and
the paper's widths; CM-GANs: the paper's and half of them, a step being one iteration (four
discriminators, five rounds of two generators); Corr-AE: a narrow code. A busy machine is refused:
its figures would be its own, not the programs'. The torch side is what a careful user writes: fused
Adam, gradients set to None, distances by cdist's direct form, encoders run once for all
discriminators, nothing computed for weights that do not move.
"""
import os
import sys
import time

import torch
import torch.nn.functional as F

from side_by_side import compare, option

BATCH, MNS_BATCH, CLASSES = 64, 60, 10
DEMO = (4096, 512, 100, 40), (5000, 40, 100, 40)
PAPER = (4096, 2000, 200), (5000, 500, 200)
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


class Acmr:
    batch = BATCH

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
        self.image = torch.randn(self.batch, image[0])
        self.text = torch.randn(self.batch, text[0])
        self.y = torch.arange(self.batch) % CLASSES
        self.ones = torch.ones(self.batch, dtype=torch.long)
        self.zeros = torch.zeros(self.batch, dtype=torch.long)
        self.same = (self.y[:, None] == self.y[None]).float()
        self.other = 1 - self.same

    def contrastive(self, d):
        pull = (d * self.same).sum(1) / self.same.sum(1)
        push = (torch.relu(5 - d) * self.other).sum(1) / self.other.sum(1)
        return (pull + 3 * push).mean()

    def structure(self, v, t):
        d = torch.cdist(v, t, compute_mode="donot_use_mm_for_euclid_dist")
        return self.contrastive(d) + self.contrastive(d.T)

    def step(self):
        v, t = self.fv(self.image), self.ft(self.text)
        loss = self.structure(v, t)
        loss = loss + F.cross_entropy(self.cls(v), self.y) + F.cross_entropy(self.cls(t), self.y)
        loss = loss + .1 * sum(w.norm() for w in self.norms)
        loss = loss + F.cross_entropy(self.d(Reverse.apply(v, .5)), self.ones)
        loss = loss + F.cross_entropy(self.d(Reverse.apply(t, .5)), self.zeros)
        self.adam.zero_grad(set_to_none=True)
        loss.backward()
        self.adam.step()


class MnsGan(Acmr):
    batch = MNS_BATCH

    def __init__(self, image, text):
        super().__init__(image, text)
        self.own = torch.arange(self.batch)
        # Position [i, c] of the r-th item of class c; each row leaves out its own class.
        self.of_class = self.own.view(-1, CLASSES)
        classes = [[c for c in range(CLASSES) if c != i % CLASSES] for i in range(self.batch)]
        self.classes = torch.tensor(classes)

    def tuplet(self, a, b, pos, neg):
        near = (a - b[pos]).square().sum(1)
        far = (a[:, None] - b[neg]).square().sum(2)
        zero = torch.zeros(self.batch, 1)
        return torch.logsumexp(torch.cat((zero, (near[:, None] - far) / 10), 1), 1).mean()

    def structure(self, v, t):
        rows = len(self.of_class)
        neg = self.of_class[torch.randint(rows, self.classes.shape), self.classes]
        pos = (self.own + CLASSES * torch.randint(1, rows, (self.batch,))) % self.batch
        inter = self.tuplet(v, t, self.own, neg) + self.tuplet(t, v, self.own, neg)
        return .5 * inter + .25 * (self.tuplet(v, v, pos, neg) + self.tuplet(t, t, pos, neg))


def block(n_in, n_out):
    return torch.nn.Sequential(torch.nn.Linear(n_in, n_out), torch.nn.BatchNorm1d(n_out),
                               torch.nn.LeakyReLU(.2))


class CmGan:
    def __init__(self, image, text):
        code, hidden, n_in = image[-1], image[-1] // 2, (image[0], text[0])
        linear, sequence = torch.nn.Linear, torch.nn.Sequential
        shared = block(code, code)
        self.e = [sequence(block(n, code), shared) for n in n_in]
        self.dec = [sequence(block(code, code), linear(code, n)) for n in n_in]
        self.cls = [linear(code, CLASSES) for _ in n_in]
        self.d = [linear(n, 1) for n in n_in]
        self.dc = [sequence(block(code + n, hidden), linear(hidden, 1)) for n in n_in]
        generators = [p for m in self.e + self.dec + self.cls for p in m.parameters()]
        self.judges = [p for m in self.d + self.dc for p in m.parameters()]
        options = {"lr": 1e-3, "betas": (.5, .999), "fused": True}
        self.adam_g = torch.optim.Adam(set(generators), weight_decay=.01, **options)
        self.adam_d = torch.optim.Adam(self.judges, **options)
        self.x = [torch.randn(BATCH, n) for n in n_in]
        self.wrong = [torch.randn(BATCH, n) for n in n_in]
        self.y = torch.arange(BATCH) % CLASSES
        self.one, self.zero = torch.ones(BATCH, 1), torch.zeros(BATCH, 1)

    def real(self, logits):
        return F.binary_cross_entropy_with_logits(logits, self.one)

    def fake(self, logits):
        return F.binary_cross_entropy_with_logits(logits, self.zero)

    def judge(self):
        with torch.no_grad():
            s = [e(x) for e, x in zip(self.e, self.x)]
            wrong = [e(x) for e, x in zip(self.e, self.wrong)]
            r = [dec(code) for dec, code in zip(self.dec, s)]
        loss = 0
        for m in range(2):
            def sees(code):
                return self.dc[m](torch.cat((code, self.x[m]), 1))
            loss = loss + self.real(self.d[m](self.x[m])) + self.fake(self.d[m](r[m]))
            loss = loss + self.real(sees(s[m]))
            loss = loss + .5 * (self.fake(sees(s[1 - m])) + self.fake(sees(wrong[m])))
        self.adam_d.zero_grad(set_to_none=True)
        loss.backward()
        self.adam_d.step()

    def generate(self, m):
        s = self.e[m](self.x[m])
        loss = self.real(self.dc[1 - m](torch.cat((s, self.x[1 - m]), 1)))
        loss = loss + self.real(self.d[m](self.dec[m](s))) + F.cross_entropy(self.cls[m](s), self.y)
        self.adam_g.zero_grad(set_to_none=True)
        loss.backward()
        self.adam_g.step()

    def step(self):
        self.judge()
        for p in self.judges:
            p.requires_grad_(False)
        for _ in range(5):
            self.generate(0)
            self.generate(1)
        for p in self.judges:
            p.requires_grad_(True)


class CorrAe:
    def __init__(self, image, text):
        code, n_in = image[-1], (image[0], text[0])
        self.e = [torch.nn.Linear(n, code) for n in n_in]
        self.dec = [torch.nn.Linear(code, n) for n in n_in]
        self.adam = torch.optim.Adam([p for m in self.e + self.dec for p in m.parameters()],
                                     lr=1e-3, weight_decay=1e-4, fused=True)
        self.x = [torch.randn(BATCH, n) for n in n_in]

    def step(self):
        s = [e(x).sigmoid() for e, x in zip(self.e, self.x)]
        loss = .8 * F.mse_loss(s[0], s[1])
        for dec, code, x in zip(self.dec, s, self.x):
            loss = loss + .2 * F.mse_loss(dec(code), x)
        self.adam.zero_grad(set_to_none=True)
        loss.backward()
        self.adam.step()


METHODS = {"acmr": (Acmr, (DEMO, PAPER)), "mnsgan": (MnsGan, (DEMO, PAPER)),
           "cmgan": (CmGan, (((4096, 1024), (300, 1024)), ((4096, 512), (300, 512)))),
           "corrae": (CorrAe, (((4096, 64), (5000, 64)),))}


def busy():
    def read():
        with open("/proc/stat") as f:
            n = list(map(int, f.readline().split()[1:9]))
        return sum(n), n[3] + n[4]
    total, idle = read()
    time.sleep(1)
    total2, idle2 = read()
    return 1 - (idle2 - idle) / max(total2 - total, 1)


def both(program, method, threads, image, text, steps):
    widths = [",".join(map(str, w)) for w in (image, text)]
    label = "%-7s %s" % (method, " / ".join("-".join(map(str, w)) for w in (image, text)))
    return compare(label, threads, (program, method, str(threads), *widths),
                   lambda: METHODS[method][0](image, text), steps) >= 1


def main():
    program, options = sys.argv[1], sys.argv[2:]
    steps = option("--steps", 30)
    only = options[options.index("--method") + 1] if "--method" in options else None
    load = busy()
    if load > BUSY and "--force" not in options:
        sys.exit("the machine is busy (%.0f %%): no figures. --force measures all the same" %
                 (100 * load))
    print("torch %s, medians of %d steps, machine %.0f %% busy before" %
          (torch.__version__, steps, 100 * load))
    ok = [both(program, method, threads, image, text, steps)
          for method in METHODS if only in (None, method)
          for threads in (1, 2) for image, text in METHODS[method][1]]
    print("at least as fast in %d of %d" % (sum(ok), len(ok)))


if len(sys.argv) < 2:
    sys.exit(__doc__)
main()
