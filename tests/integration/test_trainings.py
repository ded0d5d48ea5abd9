"""Starting trainings: what is refused before the 202, what is queued, and what comes of it."""
import pytest

from conftest import pairs


def load(api, path, items):
    summary = api.ndjson(f"{path}/items:import?results=failed", items).lines()[-1]["summary"]
    assert summary["failed"] == 0


def wide(api, path):
    """Makes a collection for `pairs`."""
    assert api.put(path, {"image_encoder": {"name": "external", "dim": 12},
                          "text_encoder": {"name": "external", "dim": 8}}).status == 201
    return path


@pytest.mark.parametrize("body, pointer", [
    ({}, "/method"),
    ({"method": "magic"}, "/method"),
    ({"method": "auto", "params": {}}, "/params"),
    ({"method": "auto", "budget_s": 0}, "/budget_s"),
    ({"method": "auto", "aim": "fame"}, "/aim"),
    ({"method": "acmr", "budget_s": 60}, "/budget_s"),
    ({"method": "acmr", "aim": "class"}, "/aim"),
    ({"method": "identity"}, "/method"),
    ({"method": "acmr", "params": {"epochs": 0.5}}, "/params/epochs"),
    ({"method": "acmr", "params": {"epochs": -1}}, "/params/epochs"),
    ({"method": "acmr", "params": {"epoch": 1}}, "/params/epoch"),
    ({"method": "acmr", "params": {"similarity": "smell"}}, "/params/similarity"),
    ({"method": "acmr", "split": {"test": 2}}, "/split/test"),
    ({"method": "acmr", "split": {"field": "part", "seed": 1}}, "/split/seed"),
    ({"method": "acmr", "split": {"field": "part", "validation": 0}}, "/params/similarity"),
    ({"method": "acmr", "seed": -1}, "/seed"),
    ({"method": "acmr", "activate": "perhaps"}, "/activate"),
    ({"method": "acmr", "speed": 9}, "/speed"),
])
def test_refusals_name_the_place(api, trained, body, pointer):
    reply = api.post(f"{trained[0]}/trainings", body)
    assert (reply.status, reply.code, reply.pointer) == (422, "invalid", pointer)


def test_bodies(api, trained):
    path = f"{trained[0]}/trainings"
    assert api.post(path, "{").status == 400
    assert api.post(path, "{}", kind="text/plain").status == 415
    assert api.post("/v1/collections/none/trainings", {"method": "acmr"}).status == 404
    reply = api.post(path, {"method": "acmr"}, headers={"Idempotency-Key": "a b"})
    assert reply.status == 422


def test_too_little_data(api, vectors):
    body = {"method": "acmr"}
    assert api.post(f"{vectors}/trainings", body).code == "not_enough_data"
    api.ndjson(f"{vectors}/items:import", [
        {"id": f"i{i}", "vectors": {"image": [1, i, 0, 0], "texts": [[1, 0, i]]}}
        for i in range(30)])
    assert api.post(f"{vectors}/trainings", body).code == "not_enough_data"  # no labels
    api.ndjson(f"{vectors}/items:import", [
        {"id": f"i{i}", "label": f"l{i % 2}",
         "vectors": {"image": [1, i, 0, 0], "texts": [[1, 0, i]]}} for i in range(3)])
    assert api.post(f"{vectors}/trainings", body).code == "not_enough_data"  # three pairs


def test_the_model_and_its_report(api, trained):
    path, model = trained
    reply = api.get(f"{path}/models/{model}")
    assert reply.json["active"]
    assert reply.json["params"]["epochs"] == 20
    assert reply.json["params"]["similarity"] in ("euclidean", "cosine", "posterior")
    report = reply.json["report"]
    split = report["split"]
    assert split["train"] + split["validation"] + split["test"] == 300
    assert split["skipped"] == 0
    for direction in ("image_to_text", "text_to_image"):
        figure = report[direction]["map_all"]
        assert figure["low"] <= figure["value"] <= figure["high"]
        assert figure["low"] > report["chance"][direction]["map_all"]["value"]
    assert "linear" in report["baselines"]


def test_the_same_seed_gives_the_same_model(api, trained):
    path, model = trained
    first = api.get(f"{path}/models/{model}").json
    job = api.job(api.post(f"{path}/trainings", {
        "method": "acmr", "params": {"epochs": 20}, "seed": 1, "activate": "never"}))
    assert job["result"]["activated"] is False
    again = api.get(f"{path}/models/{job['result']['model']}").json
    assert again["report"]["text_to_image"] == first["report"]["text_to_image"]
    assert api.delete(f"{path}/models/{again['id']}").status == 204


def test_if_better(api):
    """Better than an identity that cannot cross; no better than itself."""
    path = wide(api, "/v1/collections/gate")
    load(api, path, pairs(300))
    body = {"method": "acmr", "params": {"epochs": 15}}
    first = api.job(api.post(f"{path}/trainings", body))["result"]
    assert first["activated"] and "chance" in first["reason"]
    second = api.job(api.post(f"{path}/trainings", body))["result"]
    assert not second["activated"] and second["reason"]
    assert api.get(path).json["active_model"] == first["model"]


def test_too_few_common_queries(api):
    path = wide(api, "/v1/collections/few")
    load(api, path, pairs(80))
    job = api.job(api.post(f"{path}/trainings", {
        "method": "linear", "split": {"validation": 0.1, "test": 0.1}}))
    assert job["state"] == "done", job
    assert job["request"]["method"] == "linear" and job["request"]["params"]["dimension"] > 0
    assert not job["result"]["activated"]
    assert "30" in job["result"]["reason"]


def test_a_split_by_field(api):
    path = wide(api, "/v1/collections/field")
    items = list(pairs(200))
    for i, item in enumerate(items):
        item["metadata"]["part"] = "test" if i % 4 == 0 else "train" if i % 4 < 3 else "none"
    load(api, path, items)
    job = api.job(api.post(f"{path}/trainings", {
        "method": "acmr", "params": {"epochs": 5, "similarity": "euclidean"},
        "split": {"field": "part", "validation": 0}, "activate": "never"}))
    assert job["state"] == "done", job
    split = api.get(f"{path}/models/{job['result']['model']}").json["report"]["split"]
    assert (split["train"], split["validation"], split["test"]) == (100, 0, 50)


def test_idempotency(api, trained):
    path = f"{trained[0]}/trainings"
    body = {"method": "linear", "activate": "never"}
    key = {"Idempotency-Key": "one-training"}
    first = api.post(path, body, headers=key)
    again = api.post(path, body, headers=key)
    assert first.json["id"] == again.json["id"]
    other = api.post(path, {**body, "seed": 2}, headers=key)
    assert (other.status, other.code) == (409, "conflict")
    done = api.job(first)
    assert api.delete(f"{trained[0]}/models/{done['result']['model']}").status == 204
