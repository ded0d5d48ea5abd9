"""One step of GXN's sentences, ours against PyTorch's, step by step in turn.

usage: captions_against_torch.py BENCH-TRAIN-CAPTIONS [--threads N] [--steps N]

Medians of 30 steps each (after 5 to warm up): cross-entropy, and the self-critical mix. The torch
side is what a careful user writes: fused Adam, gradients set to None, one GRU over all moments for
the losses, a cell over greedy and drawn sentences together without gradients, and CIDEr-D with the
references' vectors made once.
"""
import collections
import math
import random
import sys
import time

import torch
import torch.nn.functional as F

from side_by_side import compare, option

BATCH, D, UNITS, WORDS, MOMENTS = 64, 256, 128, 41, 10
PICTURES, TEXTS, LED, END = 640, 5, 200, 0
TOKENS = WORDS + 2


def block(n_in, n_out):
    return torch.nn.Sequential(torch.nn.Conv2d(n_in, n_out, 3, 2, 1),
                               torch.nn.BatchNorm2d(n_out), torch.nn.ReLU())


class CiderD:
    """Sentences are lists of tokens; references' vectors are made once."""

    def __init__(self, references):
        self.df = collections.Counter()
        for texts in references:
            self.df.update({g for t in texts for g in self.grams(t)})
        self.log_n = math.log(len(references))
        self.references = [[self.vector(t) for t in texts] for texts in references]

    @staticmethod
    def grams(t):
        return collections.Counter(tuple(t[i:i + n]) for n in range(1, 5)
                                   for i in range(len(t) - n + 1))

    def vector(self, t):
        weights = [{} for _ in range(4)]
        for gram, count in self.grams(t).items():
            weights[len(gram) - 1][gram] = count * (self.log_n - math.log(max(1, self.df[gram])))
        return weights, [math.sqrt(sum(w * w for w in v.values())) for v in weights], len(t)

    def score(self, t, picture):
        total, (c, norms, length) = 0, self.vector(t)
        for s, s_norms, s_length in self.references[picture]:
            penalty = math.exp(-(length - s_length) ** 2 / 72)
            for n in range(4):
                if norms[n] and s_norms[n]:
                    along = sum(min(w, s[n][g]) * s[n][g] for g, w in c[n].items() if g in s[n])
                    total += penalty * along / (norms[n] * s_norms[n]) / 4
        return 10 * total / len(self.references[picture])


class Torch(torch.nn.Module):
    def __init__(self, scst):
        super().__init__()
        self.scst = scst
        self.see = torch.nn.Sequential(block(3, 16), block(16, 32), block(32, 64), block(64, 128),
                                       torch.nn.Flatten(), torch.nn.Linear(512, D))
        self.picture = torch.nn.Linear(D, UNITS)
        self.words = torch.nn.Embedding(TOKENS, UNITS)
        self.gru = torch.nn.GRU(UNITS, UNITS)
        self.output = torch.nn.Linear(UNITS, TOKENS)
        self.adam = torch.optim.Adam(self.parameters(), lr=1e-3, fused=True)
        rng = random.Random(0)
        self.texts = [[[30 + (i + 3 * k) % 11 for k in range(1 + i + rng.randrange(2))] +
                       [2 + p * (7 + k) % 30 for k in range(3)] + [END] for i in range(TEXTS)]
                      for p in range(PICTURES)]
        self.cider = CiderD(self.texts) if scst else None
        self.images = torch.randn(BATCH, 3, 32, 32)
        self.at = 0
        for _ in range(LED if scst else 0):
            self.once(False)
        for group in self.adam.param_groups:
            group["lr"] = 1e-5

    def read(self, picture, said, state=None):
        """Words (T, N) after the picture, or after what the state has read."""
        x = self.words(said) + picture
        x = torch.cat([picture[None], x]) if state is None else x
        h, state = self.gru(x, state)
        return self.output(h), state

    @torch.no_grad()
    def write(self, picture):
        """Greedy sentences and drawn ones, together."""
        n, picture = picture.shape[0], picture.repeat(2, 1)
        logits, state = self.read(picture, torch.zeros(0, 2 * n, dtype=torch.long))
        said, over = [], torch.zeros(2 * n, dtype=torch.bool)
        for t in range(MOMENTS):
            token = logits[-1].argmax(1)
            token[n:] = torch.multinomial(logits[-1][n:].softmax(1), 1)[:, 0]
            said.append(torch.where(over, END, token))
            over = over | (token == END)
            if over.all():
                break
            if t + 1 < MOMENTS:
                logits, state = self.read(picture, said[-1][None], state)
        return torch.stack(said)

    @staticmethod
    def counted(said):
        return F.pad((said == END).cumsum(0)[:-1] == 0, (0, 0, 1, 0), value=True)

    def batch(self):
        rows = [(self.at * BATCH + i) % (PICTURES * TEXTS) for i in range(BATCH)]
        self.at += 1
        texts = [self.texts[r // TEXTS][r % TEXTS] for r in rows]
        said = torch.nn.utils.rnn.pad_sequence([torch.tensor(t) for t in texts])
        pictures = torch.tensor([r // TEXTS for r in rows])
        for k in range(3):
            self.images.view(BATCH, -1)[:, k] = ((pictures >> k) % 8).float()
        return [r // TEXTS for r in rows], said

    def advantage(self, pictures, written):
        n, columns = len(pictures), written.T.tolist()
        scores = []
        for i, t in enumerate(columns):
            end = t.index(END) + 1 if END in t else len(t)
            scores.append(self.cider.score(t[:end], pictures[i % n]))
        return torch.tensor(scores[n:]) - torch.tensor(scores[:n])

    def loss(self, scst):
        pictures, said = self.batch()
        picture = self.picture(F.normalize(self.see(self.images)))
        mask = self.counted(said)
        if not scst:
            logits = self.read(picture, said[:-1])[0]
            return F.cross_entropy(logits[mask], said[mask])
        written = self.write(picture)
        a = self.advantage(pictures, written)
        longest = max(len(said), len(written))
        both = torch.cat([F.pad(said, (0, 0, 0, longest - len(said))),
                          F.pad(written[:, BATCH:], (0, 0, 0, longest - len(written)))], 1)
        logits = self.read(picture.repeat(2, 1), both[:-1])[0]
        each = F.cross_entropy(logits.flatten(0, 1), both.flatten(), reduction="none").view_as(both)
        mask = self.counted(both)
        own = mask[:, BATCH:]
        return .1 * each[:, :BATCH][mask[:, :BATCH]].mean() + .9 * (
            a * each[:, BATCH:] * own).sum() / own.sum()

    def once(self, scst):
        loss = self.loss(scst)
        self.adam.zero_grad(set_to_none=True)
        loss.backward()
        self.adam.step()

    def step(self):
        start = time.perf_counter()
        self.once(self.scst)
        return 1e3 * (time.perf_counter() - start)


def both(phase):
    threads = option("--threads", 1)
    compare(phase, threads, (sys.argv[1], str(threads), phase), lambda: Torch(phase == "scst"),
            option("--steps", 30))


if len(sys.argv) < 2:
    sys.exit(__doc__)
for which in ("xe", "scst"):
    both(which)
