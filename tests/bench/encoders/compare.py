"""Encoders against onnxruntime and PyTorch: each contestant in a process of its own, all asked in
turn, round by round, so that what else the machine does meets all of them alike.

usage: compare.py BUILD-FOLDER ENCODERS-FOLDER [--rounds N] [--threads 1,2] [--case NAME]

Pictures begin with the network's square, ours as bytes, the peers' as floats. Texts are made of
words that are one piece each, so a case's number of tokens is exact: ours go from bytes to
features, the peers' begin with ready ids. Times are a call's; first the best of all rounds, in
brackets the median. `x` is the best peer's time by ours.
"""
import argparse
import json
import os
import random
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
CASES = {'1 x 8': (1, 8), '1 x 32': (1, 32), '32 x 8': (32, 8), '32 x 32': (32, 32)}
SECONDS = 0.1  # of one contestant's turn
PEERS = ('onnx-plain', 'onnx-fused', 'torch')
PICTURES = {'1 image': 1, '16 image': 16}
PICTURE_PEERS = ('image-onnx', 'image-torch')


class Contestant:
    def __init__(self, name, command):
        self.name = name
        env = {k: v for k, v in os.environ.items() if k != 'OPENBLAS_CORETYPE'}
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, env=env)

    def ask(self, task):
        self.process.stdin.write(json.dumps(task) + '\n')
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


class Pictures:
    """The number of pictures is all there is to say."""

    def task(self, n):
        return {'pictures': n}


class Texts:
    """Texts with a known number of tokens, and their ids."""

    def __init__(self, folder):
        with open(os.path.join(folder, 'vocab.txt'), encoding='utf-8') as file:
            pieces = file.read().split('\n')
        self.ids = {piece: i for i, piece in enumerate(pieces)}
        self.words = [p for p in pieces if len(p) > 2 and p.isascii() and p.isalpha()]
        self.random = random.Random(1)

    def task(self, n, tokens):
        rows = [self.random.choices(self.words, k=tokens - 2) for _ in range(n)]
        ids = [[self.ids['[CLS]']] + [self.ids[w] for w in row] + [self.ids['[SEP]']]
               for row in rows]
        return {'texts': [' '.join(row) for row in rows], 'ids': ids}


def rounds(contestants, texts, case, threads, n_rounds):
    times = {c.name: [] for c in contestants}
    reps = {}
    for number in range(n_rounds + 1):
        for c in contestants:
            task = texts.task(*case) | {'threads': threads, 'reps': reps.get(c.name, 3)}
            got = c.ask(task)
            if number == 0:  # to warm up, and to see how many calls make a turn
                reps[c.name] = max(1, int(SECONDS / min(got)))
            else:
                times[c.name] += got
    return times


def show(name, threads, times):
    best = {k: min(v) for k, v in times.items()}
    cells = ' '.join(f'{k} {1e3 * best[k]:.2f} ({1e3 * statistics.median(times[k]):.2f})'
                     for k in times)
    onnx = min(best[k] for k in best if 'onnx' in k)
    torch = min(best[k] for k in best if 'torch' in k)
    print(f'{name:>8} {threads} threads: {cells} ms; onnxruntime x {onnx / best["ours"]:.2f}, '
          f'torch x {torch / best["ours"]:.2f}', flush=True)


def compare(ours, folder, cases, peers, tasks, args):
    contestants = [Contestant('ours', [ours, folder])] + [
        Contestant(kind, [sys.executable, os.path.join(HERE, 'peer.py'), kind, folder])
        for kind in peers]
    for threads in map(int, args.threads.split(',')):
        for name, case in cases.items():
            show(name, threads, rounds(contestants, tasks, case, threads, args.rounds))
    for c in contestants:
        c.process.stdin.close()
        c.process.wait()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('build')
    parser.add_argument('encoders')
    parser.add_argument('--rounds', type=int, default=8)
    parser.add_argument('--threads', default='1,2')
    parser.add_argument('--case', choices=[*PICTURES, *CASES])
    args = parser.parse_args()
    ours = os.path.join(args.build, 'tests', 'bench', 'encoders', 'bench-encode')
    for folder, cases, peers, tasks in (
            ('efficientnet-lite0', {k: (n,) for k, n in PICTURES.items()}, PICTURE_PEERS,
             lambda folder: Pictures()),
            ('all-minilm-l6-v2', CASES, PEERS, Texts)):
        names = [name for name in cases if args.case in (None, name)]
        if names:
            folder = os.path.join(args.encoders, folder)
            compare(ours, folder, {name: cases[name] for name in names}, peers, tasks(folder), args)


if __name__ == '__main__':
    main()
