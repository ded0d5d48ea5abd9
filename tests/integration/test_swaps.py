"""Queries under load while models are swapped: none fails, none is answered by a mix of two.

Two models of different widths are trained on fixed vectors and asked once each while they are
active. After that every reply must be, hit by hit, the answer of the model that it names.
"""
import math
import random
import threading

import live

SWAPS = 100
CLIENTS = 3


def questions():
    rng = random.Random(11)
    for i in range(24):
        modality, dim = (("image", live.DIM), ("text", live.DIM // 2))[i % 2]
        yield {"query": {"vector": [rng.gauss(0, 1) for _ in range(dim)], "modality": modality},
               "target": ("text", "image", "any")[i % 3], "limit": 10, "return": ["vector"]}


def same(reply, expected):
    """Ids in order, similarities to rounding, vectors of the width that the model has."""
    hits, wanted = reply["hits"], expected["hits"]
    return (len(hits) == len(wanted)
            and all(a["id"] == b["id"] and a["modality"] == b["modality"]
                    and len(a["vector"]) == len(b["vector"])
                    and math.isclose(a["similarity"], b["similarity"], rel_tol=1e-4, abs_tol=1e-5)
                    for a, b in zip(hits, wanted)))


def activate(daemon, model):
    status, data = daemon.ask("POST", f"/v1/collections/v/models/{model}:activate")
    assert status in (200, 202), data
    if status == 202:
        assert daemon.job(data["id"])["state"] == "done", data


class Client(threading.Thread):
    """Asks until it is told to stop; remembers what was wrong and how much each model answered."""

    def __init__(self, daemon, asked, answers, done):
        super().__init__()
        self.daemon_, self.asked, self.answers, self.done = daemon, asked, answers, done
        self.wrong, self.count = [], {model: 0 for model in answers}

    def run(self):
        connection = self.daemon_.connect()
        try:
            while not self.done.is_set() and len(self.wrong) < 5:
                for i, question in enumerate(self.asked):
                    self.one(connection, i, question)
        except (OSError, ValueError) as e:
            self.wrong.append(repr(e))
        finally:
            connection.close()

    def one(self, connection, i, question):
        status, reply = self.daemon_.ask("POST", "/v1/collections/v/query", question,
                                         connection=connection)
        if status != 200 or reply["model"] not in self.answers:
            self.wrong.append((status, reply))
        elif not same(reply, self.answers[reply["model"]][i]):
            self.wrong.append((question["target"], reply))
        else:
            self.count[reply["model"]] += 1


def test_no_query_sees_a_swap(tmp_path):
    with live.Daemon(tmp_path) as daemon:
        live.load_vectors(daemon)
        models = [daemon.train("v", method="linear", params={"dimension": 8}, activate="always"),
                  daemon.train("v", method="acmr", params={"epochs": 3}, activate="always")]
        asked, answers = list(questions()), {}
        for model in models:
            activate(daemon, model)
            answers[model] = [daemon.must("POST", "/v1/collections/v/query", q) for q in asked]
            assert all(a["model"] == model and a["hits"] for a in answers[model])
        assert not any(same(a, b) for a, b in zip(*answers.values())), "the models must differ"
        done = threading.Event()
        clients = [Client(daemon, asked, answers, done) for _ in range(CLIENTS)]
        for client in clients:
            client.start()
        try:
            for n in range(SWAPS):
                activate(daemon, models[n % 2])
        finally:
            done.set()
            for client in clients:
                client.join()
        wrong = [w for client in clients for w in client.wrong]
        assert not wrong, wrong[:3]
        counts = {m: sum(c.count[m] for c in clients) for m in models}
        print(f"{SWAPS} swaps, {sum(counts.values())} queries: {counts}")
        assert min(counts.values()) > 0
