"""Streams of items in and out."""
import base64
import io
import json
import tarfile

from conftest import picture


def test_result_lines(api, vectors):
    path = f"{vectors}/items:import"
    one = {"id": "a", "vectors": {"image": [1, 0, 0, 0]}, "label": "x"}
    body = "\n".join([json.dumps(one), "", json.dumps(one), json.dumps({**one, "label": "y"}),
                      "{broken", json.dumps({"id": "b"}), json.dumps({"texts": ["no id"]}), "[]"])
    reply = api.post(path, body, kind="application/x-ndjson")
    lines = reply.lines()
    assert [line.get("line") for line in lines[:-1]] == [1, 3, 4, 5, 6, 7, 8]
    assert [line["status"] for line in lines[:-1]] == \
        ["created", "unchanged", "updated", "failed", "failed", "failed", "failed"]
    assert [line["id"] for line in lines[:-1]] == ["a", "a", "a", None, "b", None, None]
    assert lines[3]["code"] == "bad_json"
    assert lines[-1]["summary"] == {"created": 1, "updated": 1, "unchanged": 1, "failed": 4}
    assert api.get(f"{vectors}/items/a").json["label"] == "y"
    failed = api.post(f"{path}?results=failed", body, kind="application/x-ndjson").lines()
    assert all(line.get("status", "failed") == "failed" for line in failed)


def test_refusals(api, vectors):
    path = f"{vectors}/items:import"
    assert api.post(path, "{}", kind="application/json").status == 415
    assert api.post(f"{path}?results=none", "", kind="application/x-ndjson").status == 422
    assert api.post("/v1/collections/none/items:import", "",
                    kind="application/x-ndjson").status == 404
    empty = api.post(path, "", kind="application/x-ndjson")
    assert empty.lines() == [{"summary": {"created": 0, "updated": 0, "unchanged": 0, "failed": 0}}]


def test_an_endless_line_ends_the_stream(api, vectors):
    body = b'{"id": "a", "vectors": {"image": [1, 0, 0, 0]}}\n' + b"x" * (33 << 20)
    lines = api.post(f"{vectors}/items:import", body, kind="application/x-ndjson").lines()
    assert lines[0]["status"] == "created"
    assert lines[-1]["error"]["status"] == 413
    assert api.get(f"{vectors}/items/a").status == 200


def tar(*members):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as file:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            if data == b"->":
                info.type, info.size, info.linkname = tarfile.SYMTYPE, 0, "elsewhere"
            file.addfile(info, io.BytesIO(data) if info.size else None)
    return out.getvalue()


def test_tar(api, collection):
    body = tar(("./animals/seal.jpg", picture("444.jpg")),
               ("./animals/seal.txt", b"A seal."),
               ("./animals/seal.json", b'{"label": "animals", "metadata": {"year": 2004}}'),
               ("animals/broken.png", b"no picture"),
               ("animals/link.png", b"->"),
               ("animals/owl.txt", b"An owl."))
    lines = api.post(f"{collection}/items:import", body, kind="application/x-tar").lines()
    by_id = {line["id"]: line for line in lines[:-1]}
    assert by_id["animals/seal"]["status"] == "created"
    assert by_id["animals/broken"]["code"] == "image_undecodable"
    assert by_id["animals/owl"]["status"] == "created"
    assert lines[-1]["summary"]["failed"] == 2
    seal = api.get(f"{collection}/items/animals%2Fseal").json
    assert (seal["texts"], seal["label"]) == (["A seal."], "animals")
    assert seal["image"]["type"] == "image/jpeg"


def test_a_member_with_more_dots(api, collection):
    """Members are one item up to the first dot; the last suffix says what a member is."""
    body = tar(("seal.left.JPG", picture("444.jpg")), ("seal.txt", b"A seal."))
    lines = api.post(f"{collection}/items:import", body, kind="application/x-tar").lines()
    assert lines[-1]["summary"]["created"] == 1
    item = api.get(f"{collection}/items/seal").json
    assert item["image"] and item["texts"] == ["A seal."]


def test_a_broken_tar(api, collection):
    body = tar(("a.txt", b"one"), ("b.txt", b"two" * 5000))[:3000]
    lines = api.post(f"{collection}/items:import", body, kind="application/x-tar").lines()
    assert "error" in lines[-1]
    assert api.get(f"{collection}/items/a").status == 200


def test_out_and_in_again(api, collection):
    items = [{"id": "a", "image": {"base64": base64.b64encode(picture("444.jpg")).decode()},
              "texts": ["ä text", "another"], "label": "l", "metadata": {"k": [1, {"z": None}]}},
             {"id": "b", "texts": ["words only"]}]
    api.ndjson(f"{collection}/items:import", items)
    out = api.get(f"{collection}/items:export")
    assert out.kind == "application/x-ndjson"
    assert [line["id"] for line in out.lines()] == ["a", "b"]
    again = api.post(f"{collection}/items:import", out.data, kind="application/x-ndjson")
    assert [line.get("status") for line in again.lines()[:-1]] == ["unchanged", "unchanged"]
    bare = api.get(f"{collection}/items:export?images=false").lines()
    assert "base64" not in json.dumps(bare[0])
    assert api.get(f"{collection}/items:export?images=maybe").status == 422
    assert api.get("/v1/collections/none/items:export").status == 404


def test_given_vectors_come_out(api, vectors):
    api.ndjson(f"{vectors}/items:import", [
        {"id": "v", "vectors": {"image": [0.1, 0.2, 0.3, 0.4], "texts": [[1, 2, 3]]}}])
    out = api.get(f"{vectors}/items:export")
    again = api.post(f"{vectors}/items:import", out.data, kind="application/x-ndjson")
    assert again.lines()[-1]["summary"]["unchanged"] == 1
