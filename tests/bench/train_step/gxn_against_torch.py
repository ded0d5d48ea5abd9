"""One step of GXN's ranking loss, ours against PyTorch's, step by step in turn.

usage: gxn_against_torch.py BENCH-TRAIN-GXN [--threads N] [--steps N]

Medians of 30 steps each (after 5 to warm up): over stored features and from pixels and words, by
order and by cosine. The torch side is what a careful user writes: fused AdamW, gradients set to
None, both levels' order in one broadcast each, packed sequences for the words.
"""
import sys
import time

import torch
import torch.nn.functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from side_by_side import compare, option

BATCH, D, HIDDEN, WORDS, VOCABULARY = 64, 256, 64, 14, 41


def block(n_in, n_out):
    return torch.nn.Sequential(torch.nn.Conv2d(n_in, n_out, 3, 2, 1),
                               torch.nn.BatchNorm2d(n_out), torch.nn.ReLU())


class Gxn(torch.nn.Module):
    def __init__(self, pixels, order):
        super().__init__()
        self.pixels, self.order, self.margin = pixels, order, .05 if pixels else .2
        widths = (512, 512, 2 * HIDDEN, HIDDEN) if pixels else (1280, 1280, 384, 384)
        self.maps = torch.nn.ModuleList(torch.nn.Linear(n, D) for n in widths)
        if pixels:
            self.see = torch.nn.Sequential(block(3, 16), block(16, 32), block(32, 64),
                                           block(64, 128), torch.nn.Flatten())
            self.words = torch.nn.Embedding(VOCABULARY + 1, HIDDEN)
            self.both = torch.nn.GRU(HIDDEN, HIDDEN, batch_first=True, bidirectional=True)
            self.grounded = torch.nn.GRU(HIDDEN, HIDDEN, batch_first=True)
            self.image = torch.randn(BATCH, 3, 32, 32)
            self.lengths = torch.tensor([5 + i % 10 for i in range(BATCH)])
            self.text = torch.randint(0, VOCABULARY, (BATCH, WORDS))
        else:
            self.image, self.text = torch.randn(BATCH, 1280), torch.randn(BATCH, 384)
        self.other = ~torch.eye(BATCH, dtype=torch.bool)
        self.adam = torch.optim.AdamW(self.parameters(), lr=1e-4,
                                      weight_decay=0 if pixels else .1, fused=True)

    def under(self):
        if not self.pixels:
            image, text = F.dropout(self.image), F.dropout(self.text)
            return image, image, text, text
        image = self.see(self.image)
        packed = pack_padded_sequence(self.words(self.text), self.lengths, batch_first=True,
                                      enforce_sorted=False)
        states, _ = pad_packed_sequence(self.both(packed)[0], batch_first=True)
        return image, image, states.sum(1), self.grounded(packed)[1][0]

    def score(self, t, v):
        if not self.order:
            return t @ v.T
        return -(t.abs()[:, None] - v.abs()[None]).clamp(min=0).square().sum(2)

    def loss(self):
        vh, vl, th, tl = (F.normalize(m(x)) for m, x in zip(self.maps, self.under()))
        s = .5 * self.score(th, vh) + .5 * self.score(tl, vl)
        own = s.diagonal()
        cost = F.relu(self.margin - own[:, None] + s) + F.relu(self.margin - own[None] + s)
        return cost[self.other].sum()

    def step(self):
        start = time.perf_counter()
        loss = self.loss()
        self.adam.zero_grad(set_to_none=True)
        loss.backward()
        self.adam.step()
        return 1e3 * (time.perf_counter() - start)


def both(pixels, order):
    kind, score = "pixels" if pixels else "features", "order" if order else "cosine"
    threads = option("--threads", 1)
    compare(f"{kind} {score}", threads, (sys.argv[1], str(threads), kind, score),
            lambda: Gxn(pixels, order), option("--steps", 30))


if len(sys.argv) < 2:
    sys.exit(__doc__)
for with_pixels in (False, True):
    for by_order in (True, False):
        both(with_pixels, by_order)
