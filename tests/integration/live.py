"""A daemon that a test may start, kill, stop and start again on the same folder, and small data.

The suite's own fixture checks every reply against the contract; the tests of robustness need
the process itself: its signals, its memory, its log.
"""
import base64
import http.client
import json
import os
import pathlib
import random
import signal
import struct
import subprocess
import threading
import time
import zlib

BUILD = pathlib.Path(os.environ.get("ISTHMUS_BUILD", "build")).resolve()
ROOT = pathlib.Path(__file__).resolve().parents[2]
START_S = 60
STOP_S = 10
DIM = 24


class Daemon:
    """One isthmusd on a folder; `start` may be called again after `kill` or `stop`."""

    def __init__(self, folder, *flags):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.flags = flags
        self.proc = None
        self.ready_s = None
        self.log = self.folder / "log"

    def start(self):
        ready = self.folder / "ready"
        ready.unlink(missing_ok=True)
        began = time.monotonic()
        with open(self.log, "ab") as log:
            self.proc = subprocess.Popen(
                [BUILD / "isthmusd", "--data", self.folder / "data", "--listen", "127.0.0.1:0",
                 "--ready-file", ready, *self.flags], stderr=log, stdin=subprocess.DEVNULL)
        wait_for(lambda: ready.exists() or self.proc.poll() is not None, START_S, 0.002)
        self.ready_s = time.monotonic() - began
        assert ready.exists(), f"isthmusd did not start:\n{self.tail()}"
        self.address = ready.read_text().strip()
        self.base = f"http://{self.address}"
        return self

    def tail(self):
        return self.log.read_text(errors="replace")[-3000:]

    def kill(self):
        self.proc.kill()
        self.proc.wait()

    def stop(self):
        """SIGTERM; gives the seconds that it took."""
        began = time.monotonic()
        self.proc.send_signal(signal.SIGTERM)
        try:
            code = self.proc.wait(3 * STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"isthmusd did not stop:\n{self.tail()}") from None
        assert code == 0, f"isthmusd ended with {code}:\n{self.tail()}"
        return time.monotonic() - began

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *_):
        if self.proc is None or self.proc.poll() is not None:
            return
        if kind is None:
            self.stop()
        else:
            self.kill()

    def connect(self, timeout=60):
        host, port = self.address.split(":")
        return http.client.HTTPConnection(host, int(port), timeout=timeout)

    def ask(self, method, path, body=None, kind="application/json", connection=None):
        """One request; gives its status and what it holds (JSON where it is JSON)."""
        own = connection or self.connect()
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        try:
            own.request(method, path, body, {"Content-Type": kind} if body is not None else {})
            reply = own.getresponse()
            data = reply.read()
        finally:
            if connection is None:
                own.close()
        if "json" in (reply.getheader("Content-Type") or "") and "ndjson" not in (
                reply.getheader("Content-Type") or ""):
            data = json.loads(data)
        return reply.status, data

    def must(self, method, path, body=None, **more):
        status, data = self.ask(method, path, body, **more)
        assert 200 <= status < 300, f"{method} {path}: {status} {data}"
        return data

    def job(self, job, states=("done", "failed", "cancelled"), seconds=120):
        """Waits until the job is in one of the states and gives it."""
        found = {}

        def there():
            found.update(self.must("GET", f"/v1/jobs/{job}"))
            return found["state"] in states

        wait_for(there, seconds, 0.02)
        assert found["state"] in states, found
        return found

    def train(self, collection, **body):
        """Trains and gives the model's id."""
        job = self.must("POST", f"/v1/collections/{collection}/trainings", body)
        done = self.job(job["id"])
        assert done["state"] == "done", done
        return done["result"]["model"]

    def resident(self, key="VmRSS"):
        """Bytes that the process has in memory (VmHWM: had at most)."""
        for line in pathlib.Path(f"/proc/{self.proc.pid}/status").read_text().splitlines():
            if line.startswith(key + ":"):
                return int(line.split()[1]) * 1024
        raise AssertionError(f"no {key}")

    def is_sanitized(self):
        """Whether the address sanitizer's own memory makes figures of it meaningless."""
        return "libasan" in pathlib.Path(f"/proc/{self.proc.pid}/maps").read_text()


def wait_for(condition, seconds, every=0.02):
    """Polls until the condition holds or the time is over."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        threading.Event().wait(every)


def png(width, height, pixel):
    """A PNG of `pixel(x, y) -> (r, g, b)`."""
    rows = b"".join(b"\0" + bytes(v for x in range(width) for v in pixel(x, y))
                    for y in range(height))

    def chunk(name, data):
        body = name + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows))
            + chunk(b"IEND", b""))


CLASSES = {
    # label: (topic, colour, words)
    "birds": ("animals", (40, 90, 200), ["A bird that swims", "A blue bird", "An owl in a tree"]),
    "seals": ("animals", (120, 120, 130), ["A seal on the ice", "A grey seal", "A seal asleep"]),
    "bananas": ("food", (240, 210, 40), ["A yellow fruit", "A ripe banana", "Bananas in a bowl"]),
    "apples": ("food", (210, 40, 40), ["A red apple", "An apple on a tree", "A fruit, red"]),
}


def stamps(n=60):
    """Items of four classes: (id, PNG, texts, label, metadata)."""
    names = list(CLASSES)
    ret = []
    for i in range(n):
        label = names[i % len(names)]
        topic, colour, words = CLASSES[label]
        step = 2 + i % 7

        def pixel(x, y, colour=colour, step=step, label=label):
            inside = (x - 16) ** 2 + (y - 16) ** 2 < 150 if label != "birds" else x > y
            dark = (x // step + y // step) % 2 * 20
            return tuple(max(0, c - dark) for c in colour) if inside else (250, 250, 250)

        item = {"seal": 1, "owl": 0, "wave": 2, "wave-dark": 3}
        known = next((k for k, v in item.items() if v == i), f"{label}/{i}")
        ret.append((known, png(32, 32, pixel), [f"{words[i // 4 % 3]}, {i}"], label,
                    {"topic": topic, "year": 2000 + i}))
    return ret


def ndjson(items):
    return b"".join(json.dumps(item).encode() + b"\n" for item in items)


# The encoders that need no file: what the tests know is the same with and without pretrained ones.
FILE_FREE = {"image_encoder": "descriptor", "text_encoder": "ngrams"}


def load_stamps(daemon, n=60):
    """The collection `stamps` in a daemon."""
    daemon.must("PUT", "/v1/collections/stamps", FILE_FREE)
    body = ndjson({"id": i, "image": {"base64": base64.b64encode(picture).decode()},
                   "texts": texts, "label": label, "metadata": metadata}
                  for i, picture, texts, label, metadata in stamps(n))
    data = daemon.must("POST", "/v1/collections/stamps/items:import", body,
                       kind="application/x-ndjson")
    summary = json.loads(data.splitlines()[-1])["summary"]
    assert summary["failed"] == 0 and summary["created"] == n, data


def vectors(n=160, classes=4, seed=7):
    """Items of two modalities whose classes lie apart: external vectors of DIM and DIM / 2."""
    rng = random.Random(seed)
    centres = [[rng.gauss(0, 1) for _ in range(DIM)] for _ in range(classes)]
    for i in range(n):
        centre = centres[i % classes]
        image = [c + rng.gauss(0, .4) for c in centre]
        text = [-c + rng.gauss(0, .4) for c in centre[:DIM // 2]]
        yield {"id": f"i{i:03}", "label": f"c{i % classes}",
               "vectors": {"image": image, "texts": [text]}}


def load_vectors(daemon, n=160):
    """The collection `v` of external vectors."""
    daemon.must("PUT", "/v1/collections/v", {
        "image_encoder": {"name": "external", "dim": DIM},
        "text_encoder": {"name": "external", "dim": DIM // 2},
        "split": {"validation": 0.2, "test": 0.2}})
    daemon.must("POST", "/v1/collections/v/items:import", ndjson(vectors(n)),
                kind="application/x-ndjson")
