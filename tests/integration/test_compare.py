"""Models side by side, and the method "auto", which makes several and keeps the best in front."""
import jsonschema_rs
import pytest

import contract
import live
from conftest import names, pairs


BUDGET_S = 8  # leaves out what takes longer; which that is, is the machine's affair


def validator(name):
    return jsonschema_rs.Draft202012Validator(
        {"$ref": f"#/components/schemas/{name}", "components": contract.SPEC["components"]})


@pytest.fixture
def pairs120(api):
    """The path of a collection of 120 pairs, to be changed by one test."""
    path = f"/v1/collections/{next(names)}"
    assert api.put(path, {"image_encoder": {"name": "external", "dim": 12},
                          "text_encoder": {"name": "external", "dim": 8}}).status == 201
    api.ndjson(f"{path}/items:import", pairs(120))
    return path


def models(api, path):
    return [model["id"] for model in api.get(f"{path}/models").json["models"]]


def test_auto_keeps_a_table_of_models(api, pairs120):
    job = api.job(api.post(f"{pairs120}/trainings", {
        "method": "auto", "budget_s": BUDGET_S, "activate": "always", "seed": 2}))
    assert (job["state"], job["kind"]) == ("done", "auto"), job
    result = job["result"]
    validator("AutoResult").validate(result)
    assert result["aim"] == "class" and result["activated"]
    ids = [row["id"] for row in result["table"]]
    assert models(api, pairs120) == ["identity", *ids]
    tried = {row["method"] for row in result["table"]}
    assert "linear" in tried
    assert not tried & {row["method"] for row in result["left_out"]}
    chosen = max(result["table"], key=lambda row: row["cross_validated"])
    assert chosen["id"] == result["model"] and chosen["difference"] is None
    info = api.get(pairs120).json
    assert info["active_model"] == result["model"]
    report = api.get(f"{pairs120}/models/{ids[0]}").json["report"]
    assert report["job"] == job["id"] and report["training_s"] >= 0


def test_auto_by_instance_without_labels(api, pairs120):
    api.ndjson(f"{pairs120}/items:import",
               ({**item, "label": None} for item in pairs(120)))
    job = api.job(api.post(f"{pairs120}/trainings", {
        "method": "auto", "budget_s": BUDGET_S, "activate": "never"}))
    assert job["result"]["aim"] == "instance", job
    assert job["result"]["metric"] == "reciprocal_rank"
    assert {"linear"} <= {row["method"] for row in job["result"]["table"]}
    assert "label" in {r["method"]: r["reason"] for r in job["result"]["left_out"]}["acmr"]


def test_a_cancelled_auto_leaves_no_model(api, pairs120):
    job = api.post(f"{pairs120}/trainings", {"method": "auto"}).json["id"]
    live.wait_for(lambda: api.get(f"/v1/jobs/{job}").json["progress"] > 0.05, 60)
    assert api.delete(f"/v1/jobs/{job}").status == 202
    live.wait_for(lambda: api.get(f"/v1/jobs/{job}").json["state"] == "cancelled", 10)
    assert models(api, pairs120) == ["identity"]


def test_auto_needs_items(api, vectors):
    reply = api.post(f"{vectors}/trainings", {"method": "auto"})
    assert (reply.status, reply.code) == (409, "not_enough_data")
    api.ndjson(f"{vectors}/items:import", pairs(5, 4, 3))
    reply = api.post(f"{vectors}/trainings", {"method": "auto"})
    assert (reply.status, reply.code) == (409, "not_enough_data")


def train(api, path, **body):
    return api.job(api.post(f"{path}/trainings", {"activate": "never", **body}))["result"]["model"]


def test_comparing_all_and_two(api, pairs120):
    good = train(api, pairs120, method="linear")
    poor = train(api, pairs120, method="linear", params={"dimension": 1})
    other = train(api, pairs120, method="logistic", split={"seed": 5})
    job = api.job(api.post(f"{pairs120}/models:compare"))
    assert (job["state"], job["kind"]) == ("done", "compare"), job
    result = job["result"]
    validator("CompareResult").validate(result)
    assert [row["id"] for row in result["table"]] == [good, poor, other]
    assert result["apart"] == []
    # Only what all held back: two splits of .2 leave few.
    assert 2 <= result["queries"]["image_to_text"] < 20

    result = api.job(api.post(f"{pairs120}/models:compare", {
        "models": [good, poor], "queries": 6, "aim": "instance"}))["result"]
    validator("CompareResult").validate(result)
    assert result["best"] == good and result["metric"] == "reciprocal_rank"
    assert result["table"][1]["difference"]["value"] < 0
    assert len(result["apart"]) == 6
    for query in result["apart"]:
        assert api.get(f"{pairs120}/items/{query['id']}").status == 200
    first = result["apart"][0]["values"]
    assert first[0] > first[1]


def test_what_cannot_be_compared(api, trained, vectors):
    path, model = trained
    for body, status, pointer in [
            ({"models": [model]}, 422, "/models"),
            ({"models": [model, model]}, 422, "/models/1"),
            ({"models": [model, 7]}, 422, "/models/1"),
            ({"queries": 1000}, 422, "/queries"),
            ({"aim": "fame"}, 422, "/aim"),
            ({"what": 1}, 422, "/what")]:
        reply = api.post(f"{path}/models:compare", body)
        assert (reply.status, reply.pointer) == (status, pointer), reply.json
    assert api.post(f"{path}/models:compare", {"models": [model, "m_999999"]}).status == 404
    assert api.post("/v1/collections/nowhere/models:compare").status == 404
    assert api.post(f"{vectors}/models:compare").status == 409
    assert api.post(f"{path}/models:compare", b"{", kind="application/json").status == 400
    assert api.post(f"{path}/models:compare", b"{}", kind="text/plain").status == 415
    job = api.job(api.post(f"{path}/models:compare", {"models": [model, "identity"]}))
    assert job["state"] == "failed" and job["error"]["code"] == "no_model"
