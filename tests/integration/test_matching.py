"""GXN's matching end to end: it trains, ranks by its order in both directions, and comes back."""
import base64
import json

import pytest

import live
from conftest import pairs

ORDERS = {"text_over_image": {}, "image_over_text": {"violation": "image_over_text"}}


@pytest.fixture(scope="module")
def matched(api):
    """300 pairs of vectors; the items by name."""
    path = "/v1/collections/matched"
    assert api.put(path, {"image_encoder": {"name": "external", "dim": 12},
                          "text_encoder": {"name": "external", "dim": 8}}).status == 201
    api.ndjson(f"{path}/items:import", pairs(300))
    return path, {item["id"]: item for item in pairs(300)}


def train(api, path, **params):
    job = api.job(api.post(f"{path}/trainings", {
        "method": "gxn", "params": {"code": 16, **params}, "seed": 2, "activate": "always"}))
    assert job["state"] == "done", job
    return api.get(f"{path}/models/{job['result']['model']}").json, job


def embeddings(api, path, inputs):
    ret = []
    for first in range(0, len(inputs), 100):
        reply = api.post(f"{path}/embed", {"inputs": inputs[first:first + 100]})
        assert (reply.status, reply.json["space"]) == (200, "common")
        ret += reply.json["vectors"]
    return ret


def violation(text, image):
    return sum(max(0, t - v) ** 2 for t, v in zip(text, image))


def test_the_method_is_listed(api):
    method = next(m for m in api.get("/v1/methods").json["methods"] if m["name"] == "gxn")
    assert method["paper"]["venue"] == "CVPR" and method["paper"]["year"] == 2018
    assert {"lambda", "margin", "violation", "negatives"} <= {p["name"] for p in method["params"]}


@pytest.mark.parametrize("order", ORDERS)
def test_it_ranks_by_order_both_ways(api, matched, order):
    path, items = matched
    model, _ = train(api, path, **ORDERS[order])
    assert model["params"]["similarity"] == "order"
    pictures = dict(zip(items, embeddings(api, path, [
        {"vector": item["vectors"]["image"], "modality": "image"} for item in items.values()])))
    texts = dict(zip(items, embeddings(api, path, [
        {"vector": item["vectors"]["texts"][0], "modality": "text"} for item in items.values()])))
    assert all(x >= 0 for row in pictures.values() for x in row)
    for name in ("i0", "i17", "i203"):
        others = [other for other in items if other != name]
        asked = api.post(f"{path}/query", {"query": {"id": name, "modality": "text"},
                                           "target": "image", "limit": 20}).json["hits"]
        want = sorted(others, key=lambda other: violation(texts[name], pictures[other]))
        assert [hit["id"] for hit in asked] == want[:20]
        assert asked[0]["similarity"] == pytest.approx(
            -violation(texts[name], pictures[want[0]]), abs=1e-5)
        asked = api.post(f"{path}/query", {"query": {"id": name, "modality": "image"},
                                           "target": "text", "limit": 20}).json["hits"]
        want = sorted(others, key=lambda other: violation(texts[other], pictures[name]))
        assert [hit["id"] for hit in asked] == want[:20]


def test_what_it_learned(api, matched):
    path, _ = matched
    model, job = train(api, path)
    report = model["report"]
    for direction in ("image_to_text", "text_to_image"):
        assert (report[direction]["map_all"]["low"] >
                report["chance"][direction]["map_all"]["value"])
    curve = api.get(f"/v1/jobs/{job['id']}").json["curves"]["L_R"]
    assert curve[-1][1] < .7 * curve[0][1]
    again, _ = train(api, path, similarity="cosine")
    assert again["params"]["similarity"] == "cosine"


def test_what_is_refused(api, matched):
    path, _ = matched
    for params, pointer in [({"image_network": "cnn"}, "/image_network"),
                            ({"text_network": "gru"}, "/text_network"),
                            ({"generator": "pixels"}, "/generator")]:
        job = api.job(api.post(f"{path}/trainings", {"method": "gxn", "params": params}))
        assert job["state"] == "failed" and pointer in str(job["error"]), job
    assert api.post(f"{path}/trainings", {
        "method": "gxn", "params": {"lambda": 2}}).pointer == "/params/lambda"


def test_it_sees_and_reads_and_comes_back(tmp_path):
    """From pixels and words; after a restart the same answers."""
    asked = {"query": {"text": "A seal on the ice"}, "target": "image", "limit": 5}
    with live.Daemon(tmp_path) as daemon:
        daemon.must("PUT", "/v1/collections/seen",
                    {"image_encoder": "pixels", "text_encoder": "words"})
        reply = daemon.must("POST", "/v1/collections/seen/items:import", live.ndjson(
            {"id": name, "image": {"base64": base64.b64encode(data).decode()}, "texts": texts,
             "label": label} for name, data, texts, label, _ in live.stamps()),
            kind="application/x-ndjson")
        assert json.loads(reply.splitlines()[-1])["summary"]["created"] == 60, reply
        model = daemon.train("seen", method="gxn", params={"code": 32, "epochs": 60},
                             seed=1, activate="always")
        shown = daemon.must("GET", f"/v1/collections/seen/models/{model}")
        assert (shown["params"]["image_network"], shown["params"]["text_network"]) == (
            "cnn", "gru")
        before = daemon.must("POST", "/v1/collections/seen/query", asked)
        assert before["model"] == model
        assert {hit["label"] for hit in before["hits"]} == {"seals"}
        daemon.stop()
        daemon.start()
        after = daemon.must("POST", "/v1/collections/seen/query", asked)
        assert after["hits"] == before["hits"]
