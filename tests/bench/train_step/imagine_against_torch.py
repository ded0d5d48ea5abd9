"""One step of GXN's imagination (D's and G's), ours against PyTorch's, step by step in turn.

usage: imagine_against_torch.py BENCH-TRAIN-IMAGINE [--threads N] [--steps N] [--pixels64]

Medians of 20 steps each (after 5 to warm up): features, and pictures of 32 x 32 (with --pixels64
also of 64 x 64). The torch side is what a careful user writes: the same networks, fused Adam, one
run of G for both steps, one look of D at the real pictures for right and wrong texts, its weights
without gradients in G's step, a running average of G by one call.
"""
import sys
import time

import torch
import torch.nn.functional as F
from torch.nn.utils.rnn import pack_padded_sequence

from side_by_side import compare, option

BATCH, D, HIDDEN, WORDS, VOCABULARY = 64, 256, 64, 14, 41
Z, CONDITION, WIDTH, PROJECTION = 32, 64, 32, 256


def stages(side):
    return side.bit_length() - 3


def body(side, features):
    if not side:
        n = 16 * WIDTH
        layers = [torch.nn.Linear(Z + CONDITION, n), torch.nn.BatchNorm1d(n), torch.nn.ReLU(True),
                  torch.nn.Linear(n, n), torch.nn.BatchNorm1d(n), torch.nn.ReLU(True),
                  torch.nn.Linear(n, features)]
        return torch.nn.Sequential(*layers)
    n, last = 8 * WIDTH, stages(side)
    layers = [torch.nn.Linear(Z + CONDITION, n * 16), torch.nn.Unflatten(1, (n, 4, 4)),
              torch.nn.BatchNorm2d(n), torch.nn.ReLU(True)]
    for i in range(1, last):
        layers += [torch.nn.ConvTranspose2d(n, n // 2, 4, 2, 1), torch.nn.BatchNorm2d(n // 2),
                   torch.nn.ReLU(True)]
        n //= 2
    return torch.nn.Sequential(*layers, torch.nn.ConvTranspose2d(n, 3, 4, 2, 1), torch.nn.Tanh())


class Reader(torch.nn.Module):
    def __init__(self, words):
        super().__init__()
        self.words = torch.nn.Embedding(VOCABULARY + 1, HIDDEN) if words else None
        self.gru = torch.nn.GRU(HIDDEN, HIDDEN, batch_first=True) if words else None
        self.map = torch.nn.Linear(HIDDEN if words else 384, D)

    def forward(self, text, lengths):
        if self.words is None:
            return F.normalize(self.map(text))
        packed = pack_padded_sequence(self.words(text), lengths, batch_first=True,
                                      enforce_sorted=False)
        return F.normalize(self.map(self.gru(packed)[1][0]))


class Generator(torch.nn.Module):
    def __init__(self, side, features):
        super().__init__()
        self.phi = torch.nn.Linear(D, CONDITION)
        self.mu = torch.nn.Linear(CONDITION, CONDITION)
        self.sigma = torch.nn.Linear(CONDITION, CONDITION)
        self.body = body(side, features)

    def forward(self, t):
        phi = F.leaky_relu(self.phi(t * D ** .5), .2)
        mu, s = self.mu(phi), self.sigma(phi)
        c = mu + (s / 2).exp() * torch.randn_like(mu)
        kl = -.5 * (1 + s - mu ** 2 - s.exp()).mean()
        return self.body(torch.cat((torch.randn(BATCH, Z), c), 1)), kl


class Critic(torch.nn.Module):
    def __init__(self, side, features):
        super().__init__()
        self.side = side
        self.condition = torch.nn.Linear(D, CONDITION)
        if not side:
            n = 16 * WIDTH
            self.first = torch.nn.Sequential(torch.nn.Linear(features, n),
                                             torch.nn.LeakyReLU(.2, True))
            self.last = torch.nn.Sequential(torch.nn.Linear(n + CONDITION, n),
                                            torch.nn.LeakyReLU(.2, True), torch.nn.Linear(n, 1))
            return
        n, layers = WIDTH, [torch.nn.Conv2d(3, WIDTH, 4, 2, 1), torch.nn.LeakyReLU(.2, True)]
        for _ in range(1, stages(side)):
            layers += [torch.nn.Conv2d(n, 2 * n, 4, 2, 1), torch.nn.BatchNorm2d(2 * n),
                       torch.nn.LeakyReLU(.2, True)]
            n *= 2
        self.first = torch.nn.Sequential(*layers)
        self.last = torch.nn.Sequential(torch.nn.Conv2d(n + CONDITION, n, 1),
                                        torch.nn.BatchNorm2d(n), torch.nn.LeakyReLU(.2, True),
                                        torch.nn.Conv2d(n, 1, 4), torch.nn.Flatten())
        self.seen = torch.nn.Linear(16 * n, PROJECTION)
        self.asked = torch.nn.Linear(CONDITION, PROJECTION)
        self.match = torch.nn.Linear(PROJECTION, 1)

    def judge(self, seen, t, target):
        c = F.leaky_relu(self.condition(t * D ** .5), .2)
        if self.side:
            x = self.last(torch.cat((seen, c[:, :, None, None].expand(-1, -1, 4, 4)), 1))
            x = x + self.match(self.seen(seen.flatten(1)) * self.asked(c))
        else:
            x = self.last(torch.cat((seen, c), 1))
        return F.binary_cross_entropy_with_logits(x, torch.full_like(x, target))


class Torch:
    def __init__(self, side):
        features = 3 * side * side if side else 1280
        self.reader = Reader(side > 0)
        self.g, self.d = Generator(side, features), Critic(side, features)
        self.real = torch.rand(BATCH, 3, side, side) * 2 - 1 if side else torch.randn(BATCH, 1280)
        self.lengths = torch.tensor([5 + i % 10 for i in range(BATCH)])
        words = torch.randint(0, VOCABULARY, (BATCH, WORDS))
        self.text = words if side else torch.randn(BATCH, 384)
        adam = torch.optim.Adam
        self.adam_g = adam(self.g.parameters(), lr=2e-4, betas=(.5, .999), fused=True)
        self.adam_d = adam(self.d.parameters(), lr=2e-4, betas=(.5, .999), fused=True)
        self.adam_t = torch.optim.AdamW(self.reader.parameters(), lr=1e-4, weight_decay=0,
                                        fused=True)
        self.kept = [w.detach().clone() for w in self.g.parameters()]

    def step(self):
        start = time.perf_counter()
        t = self.reader(self.text, self.lengths)
        fake, kl = self.g(t)
        held = t.detach()
        for w in self.d.parameters():
            w.requires_grad_(True)
        seen = self.d.first(self.real)
        loss = (self.d.judge(seen, held, 1.) + .5 * self.d.judge(seen, held.roll(1, 0), 0.)
                + .5 * self.d.judge(self.d.first(fake.detach()), held, 0.))
        self.adam_d.zero_grad(set_to_none=True)
        loss.backward()
        self.adam_d.step()
        for w in self.d.parameters():
            w.requires_grad_(False)
        loss = self.d.judge(self.d.first(fake), held, 1.) + 2 * kl
        self.adam_g.zero_grad(set_to_none=True)
        self.adam_t.zero_grad(set_to_none=True)
        loss.backward()
        self.adam_g.step()
        self.adam_t.step()
        torch._foreach_lerp_(self.kept, [w.detach() for w in self.g.parameters()], 1e-3)
        return 1e3 * (time.perf_counter() - start)


def both(kind, side):
    threads = option("--threads", 1)
    compare(kind, threads, (sys.argv[1], str(threads), kind), lambda: Torch(side),
            option("--steps", 20))


if len(sys.argv) < 2:
    sys.exit(__doc__)
for of_kind, of_side in (("features", 0), ("pixels", 32), ("pixels64", 64)):
    if of_side < 64 or "--pixels64" in sys.argv:
        both(of_kind, of_side)
