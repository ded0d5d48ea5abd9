"""kill -9 during import, merge, training and swap: what was answered stays.

All crashes meet one data folder, so that each start also reads what the crashes before have left.
A ledger holds what was answered, and beside it what a request that got no answer may have changed:
after each start every item must be as one of the two says. ISTHMUS_CRASHES sets their number.
"""
import http.client
import json
import os
import random
import threading

import live

CRASHES = int(os.environ.get("ISTHMUS_CRASHES", "8"))
BATCH = 40
MERGE_AT = 100
ERRORS = (OSError, http.client.HTTPException)
ITEMS = "/v1/collections/v/items"


class Ledger:
    """What each item may be: its version in `metadata.n`, or None where it is not there."""

    def __init__(self):
        self.lock = threading.Lock()
        self.may = {}
        self.next = 0

    def take(self, rng):
        """A batch of new items, and of new versions of old ones that nobody else writes now."""
        with self.lock:
            batch = {f"x{self.next + i}": self.next for i in range(BATCH)}
            self.next += BATCH
            settled = [i for i, v in self.may.items() if len(v) == 1]
            for i in rng.sample(settled, min(5, len(settled))):
                batch[i] = self.next
            for i, n in batch.items():
                self.may[i] = self.may.get(i, {None}) | {n}
            return batch

    def settle(self, versions):
        with self.lock:
            for i, n in versions.items():
                self.may[i] = {n}

    def check(self, found):
        lost = {i: (sorted(map(str, may)), found.get(i)) for i, may in self.may.items()
                if found.get(i) not in may}
        assert not lost, f"{len(lost)} items are not what was answered: {list(lost.items())[:5]}"
        assert not set(found) - set(self.may), "items that nobody wrote"
        self.settle({i: found.get(i) for i in self.may})


class Writer(threading.Thread):
    """Imports, then deletes a little, until the daemon is gone."""

    def __init__(self, daemon, ledger, seed):
        super().__init__()
        self.base, self.ledger, self.rng = daemon, ledger, random.Random(seed)
        self.answered = 0

    def run(self):
        try:
            while True:
                self.write(self.ledger.take(self.rng))
                self.answered += 1
        except ERRORS:
            pass

    def write(self, batch):
        rng = self.rng
        body = live.ndjson({"id": i, "metadata": {"n": n}, "label": f"c{n % 4}", "vectors": {
            "image": [rng.gauss(0, 1) for _ in range(live.DIM)]}} for i, n in batch.items())
        status, data = self.base.ask("POST", ITEMS + ":import", body, kind="application/x-ndjson")
        if status != 200 or json.loads(data.splitlines()[-1])["summary"]["failed"]:
            raise AssertionError(data)
        self.ledger.settle(batch)
        gone = rng.sample(sorted(batch), 3)
        with self.ledger.lock:
            for i in gone:
                self.ledger.may[i] = {batch[i], None}
        self.base.must("POST", ITEMS + ":delete", {"ids": gone})
        self.ledger.settle(dict.fromkeys(gone))


def crash_writing(daemon, ledger, rng, moment):
    writers = [Writer(daemon, ledger, rng.random()) for _ in range(2)]
    for writer in writers:
        writer.start()
    moment()
    daemon.kill()
    for writer in writers:
        writer.join()


def crash_import(daemon, ledger, rng, _):
    after = rng.uniform(.05, .6)
    crash_writing(daemon, ledger, rng, lambda: threading.Event().wait(after))


def crash_merge(daemon, ledger, rng, state):
    def merging():
        index = daemon.must("GET", "/v1/collections/v")["index"]
        state["merging"] += index["state"] == "merging"
        return index["state"] == "merging"

    crash_writing(daemon, ledger, rng, lambda: live.wait_for(merging, 3, 0))


def crash_training(daemon, ledger, rng, state):
    """Some way into a training, sometimes twice: it ends well all the same."""
    job = daemon.must("POST", "/v1/collections/v/trainings", {
        "method": "acmr", "params": {"epochs": 300}, "activate": "never"})["id"]
    for _ in range(rng.choice((1, 2))):
        progress = rng.uniform(0, .8)

        def far(job=job, progress=progress):
            found = daemon.must("GET", f"/v1/jobs/{job}")
            return found["progress"] > progress or found["state"] == "done"

        live.wait_for(far, 60, 0.005)
        daemon.kill()
        daemon.start()
    state["jobs"].append(job)
    assert daemon.job(job)["state"] == "done", daemon.job(job)
    daemon.kill()


def crash_swap(daemon, ledger, rng, state):
    """Swaps until it is gone: the last that was answered is active, or the one under way."""
    stop_at = rng.uniform(.05, .4)

    def swap():
        try:
            for n in range(10000):
                model = state["models"][n % 2]
                state["active"] = state["active"] | {model}
                status, data = daemon.ask("POST", f"/v1/collections/v/models/{model}:activate")
                assert status in (200, 202), data
                if status == 202:
                    assert daemon.job(data["id"])["state"] == "done"
                state["active"] = {model}
        except ERRORS:
            pass

    thread = threading.Thread(target=swap)
    thread.start()
    threading.Event().wait(stop_at)
    daemon.kill()
    thread.join()


KINDS = (crash_import, crash_merge, crash_training, crash_swap)


def check(daemon, ledger, state):
    data = daemon.must("GET", ITEMS + ":export")
    found = [json.loads(line) for line in data.splitlines()]
    ledger.check({i["id"]: i["metadata"]["n"] for i in found if i["id"].startswith("x")})
    of = daemon.must("GET", "/v1/collections/v")
    assert of["counts"]["items"] == len(found)
    assert of["active_model"] in state["active"], (of["active_model"], state["active"])
    for job in state["jobs"]:
        assert daemon.must("GET", f"/v1/jobs/{job}")["state"] == "done"
    for item in found[::max(1, len(found) // 20)]:
        hits = daemon.must("POST", "/v1/collections/v/query", {
            "query": {"vector": item["vectors"]["image"], "modality": "image"},
            "target": "image", "limit": 3, "model": "identity"})["hits"]
        assert item["id"] in [h["id"] for h in hits], (item["id"], hits)


def settled(daemon, state):
    """A swap whose answer was lost may be a job that goes on: it is one or the other now."""
    live.wait_for(lambda: not any(
        daemon.must("GET", f"/v1/jobs?state={s}")["jobs"] for s in ("queued", "running")), 60)
    state["active"] &= {daemon.must("GET", "/v1/collections/v")["active_model"]}
    assert state["active"]


def test_kill(tmp_path):
    daemon, ledger = live.Daemon(tmp_path, "--merge-at", str(MERGE_AT)), Ledger()
    rng = random.Random(5)
    with daemon:
        live.load_vectors(daemon)
        state = {"jobs": [], "merging": 0, "models": [
            daemon.train("v", method="linear", params={"dimension": d}, activate="always")
            for d in (4, 8)]}
        state["active"] = {state["models"][1]}
        for n in range(CRASHES):
            kind = KINDS[n % len(KINDS)]
            kind(daemon, ledger, rng, state)
            daemon.start()
            check(daemon, ledger, state)
            settled(daemon, state)
        resumed = daemon.log.read_text().count("job_resumes")
        print(f"{CRASHES} crashes ({state['merging']} in a merge), {resumed} jobs resumed, "
              f"{sum(None not in v for v in ledger.may.values())} items kept")
        assert len(ledger.may) > 100 and state["merging"] and resumed
