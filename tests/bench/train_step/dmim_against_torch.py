"""One DMIM training step, ours against PyTorch's, step by step in turn.

usage: dmim_against_torch.py BENCH-TRAIN-DMIM [--threads N] [--steps N]

Medians of 30 steps each (after 5 to warm up): over stored features and from pixels and words, TIRG
alone and with both information terms. The torch side is what a careful user writes: fused AdamW,
gradients set to None, a packed sequence for the words.
"""
import sys
import time

import torch
import torch.nn.functional as F

from side_by_side import compare, option


def block(n_in, n_out):
    return torch.nn.Sequential(torch.nn.Conv2d(n_in, n_out, 3, 2, 1),
                               torch.nn.BatchNorm2d(n_out), torch.nn.ReLU())


class Critic(torch.nn.Module):
    def __init__(self, n_in, units=128):
        super().__init__()
        self.block = torch.nn.Sequential(
            torch.nn.Linear(n_in, units), torch.nn.BatchNorm1d(units), torch.nn.ReLU(),
            torch.nn.Linear(units, units))
        self.shortcut = torch.nn.Linear(n_in, units)

    def forward(self, a):
        return self.block(a) + self.shortcut(a)


def jsd(u, locations):
    n = u.shape[0]
    own = torch.eye(n, dtype=torch.bool).repeat_interleave(locations, 1)
    return F.softplus(u[~own]).mean() + F.softplus(-u[own]).mean()


class Dmim(torch.nn.Module):
    def __init__(self, pixels, terms):
        super().__init__()
        d, batch = (128, 64) if pixels else (256, 32)
        self.pixels, self.terms, self.batch = pixels, terms, batch
        if pixels:
            self.early = torch.nn.Sequential(block(3, 16), block(16, 32))
            self.late = torch.nn.Sequential(block(32, 64), block(64, 128), torch.nn.Flatten(),
                                            torch.nn.Linear(512, d))
            self.words = torch.nn.Embedding(33, d)
            self.lstm = torch.nn.LSTM(d, d, batch_first=True)
            self.read = torch.nn.Linear(d, d)
        else:
            self.see, self.read = torch.nn.Linear(1280, d), torch.nn.Linear(384, d)
        self.gate = torch.nn.Sequential(torch.nn.BatchNorm1d(2 * d), torch.nn.ReLU(),
                                        torch.nn.Linear(2 * d, d))
        self.residual = torch.nn.Sequential(
            torch.nn.BatchNorm1d(2 * d), torch.nn.ReLU(), torch.nn.Linear(2 * d, 2 * d),
            torch.nn.ReLU(), torch.nn.Linear(2 * d, d))
        self.a = torch.nn.Parameter(torch.tensor([1., 10.]))
        self.s = torch.nn.Parameter(torch.tensor(4.))
        if terms:
            self.psi_t, self.omega_x, self.psi_f = Critic(d), Critic(d), Critic(d)
            self.omega_m = Critic(32 if pixels else 1280)
            self.norm = torch.nn.LayerNorm(128)
        self.own = torch.arange(batch)
        shape = (batch, 3, 32, 32) if pixels else (batch, 1280)
        self.image, self.target = torch.randn(shape), torch.randn(shape)
        if pixels:
            self.lengths = torch.tensor([5 + i % 5 for i in range(batch)])
            self.text = torch.randint(1, 33, (batch, 9))
            self.places = torch.randint(0, 64, (batch, 16))
        else:
            self.text = torch.randn(batch, 384)
        self.adam = torch.optim.AdamW(self.parameters(), lr=1e-4, weight_decay=1e-4, fused=True)

    def encode(self, picture):
        if not self.pixels:
            return self.see(picture), picture
        local = self.early(picture)
        return self.late(local), local

    def encode_text(self):
        if not self.pixels:
            return self.read(self.text)
        packed = torch.nn.utils.rnn.pack_padded_sequence(
            self.words(self.text), self.lengths, batch_first=True, enforce_sorted=False)
        return self.read(self.lstm(packed)[1][0][0])

    def local(self, m):
        if not self.pixels:
            return m
        index = self.places[:, None].expand(-1, m.shape[1], -1)
        return m.flatten(2).gather(2, index).transpose(1, 2).reshape(-1, m.shape[1])

    def loss(self):
        (x, _), (y, m), t = self.encode(self.image), self.encode(self.target), self.encode_text()
        xt = torch.cat((x, t), 1)
        f = self.a[0] * torch.sigmoid(self.gate(xt)) * x + self.a[1] * self.residual(xt)
        q, g = self.s * F.normalize(f), self.s * F.normalize(y)
        loss = F.cross_entropy(q @ g.T, self.own)
        if self.terms:
            loss = loss + .05 * jsd(self.psi_t(t) @ self.omega_x(y).T, 1)
            omega = self.norm(self.omega_m(self.local(m)))
            loss = loss + .05 * jsd(self.psi_f(f) @ omega.T, 16 if self.pixels else 1)
        return loss

    def step(self):
        start = time.perf_counter()
        loss = self.loss()
        self.adam.zero_grad(set_to_none=True)
        loss.backward()
        self.adam.step()
        return 1e3 * (time.perf_counter() - start)


def both(pixels, terms):
    kind, threads = "pixels" if pixels else "features", option("--threads", 1)
    compare(f"{kind} {'DMIM' if terms else 'TIRG'}", threads,
            (sys.argv[1], str(threads), kind, ".05" if terms else "0"),
            lambda: Dmim(pixels, terms), option("--steps", 30))


if len(sys.argv) < 2:
    sys.exit(__doc__)
for with_pixels in (False, True):
    for with_terms in (False, True):
        both(with_pixels, with_terms)
