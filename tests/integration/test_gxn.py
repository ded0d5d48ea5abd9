"""Sentences and pictures that a model makes: over REST and with the client, on scenes of shapes.

What is asked here is form: sentences out of the words that training saw, pictures that follow from
text and seed. How good they are is measured in tests/figures.
"""
import base64
import io
import json
import re
import struct
import subprocess
import zlib

import pytest

import contract
import live

CLIENT = live.BUILD / "isthmus"
SIDE = 32
SMALL = {"captions": True, "generator": "pixels", "epochs": 5, "batch": 32, "channels": 2,
         "code": 16, "hidden": 8, "word_width": 8, "decoder": 16, "generator_width": 2,
         "critic_width": 2, "z": 4, "condition": 8}


@pytest.fixture(scope="module")
def shapes(daemon, api, tmp_path_factory):
    """Eighty scenes of one shape, and a small model that writes and draws, not active."""
    folder = tmp_path_factory.mktemp("shapes") / "scenes"
    for args in (("sample", "shapes", folder, "-n", 80, "--objects", 1),
                 ("import", folder, "--collection", "scenes", "--label-levels", 0,
                  "--image-encoder", "pixels", "--text-encoder", "words")):
        subprocess.run([CLIENT, "--server", daemon.base, *map(str, args)], check=True,
                       capture_output=True, timeout=120)
    path = "/v1/collections/scenes"
    job = api.job(api.post(f"{path}/trainings", {
        "method": "gxn", "params": SMALL, "seed": 3, "activate": "never"}))
    assert job["state"] == "done", job
    return folder, path, job["result"]["model"]


def client(daemon, *args, code=0):
    done = subprocess.run([CLIENT, "--server", daemon.base, *map(str, args)], timeout=120,
                          capture_output=True, check=False)
    assert done.returncode == code, done.stderr
    return done


def pixels(png):
    """(width, height, rows of RGB) of a PNG, by its chunks; checksums are looked at."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    stream, data, head = io.BytesIO(png[8:]), b"", None
    while (size := stream.read(4)):
        kind, body = stream.read(4), stream.read(struct.unpack(">I", size)[0])
        assert struct.unpack(">I", stream.read(4))[0] == zlib.crc32(kind + body)
        head = body if kind == b"IHDR" else head
        data += body if kind == b"IDAT" else b""
    width, height, depth, colour = struct.unpack(">IIBB", head[:10])
    assert (depth, colour) == (8, 2)
    raw = zlib.decompress(data)
    assert len(raw) == height * (1 + 3 * width)
    return width, height, raw


def test_a_model_says_what_it_can(api, shapes):
    _, path, model = shapes
    assert api.get(f"{path}/models/{model}").json["can"] == [
        "embed_image", "embed_text", "caption", "render", "reconstruct"]
    assert "caption" not in api.get(f"{path}/models/identity").json["can"]
    report = api.get(f"{path}/models/{model}").json["report"]
    assert 0 <= report["text_to_image"]["r_10"]["value"] <= 1


def test_captions(api, shapes):
    folder, path, model = shapes
    url = f"{path}/models/{model}:caption"
    items = api.get(f"{path}/items?limit=80").json["items"]
    words = {word for item in items for text in item["texts"] for word in re.findall(r"\w+", text)}
    for beam in (1, 3, 16):
        reply = api.post(url, {"image": {"id": items[0]["id"]}, "beam": beam})
        assert reply.status == 200
        captions = reply.json["captions"]
        assert 1 <= len(captions) <= beam
        assert [c["log_probability"] for c in captions] == sorted(
            (c["log_probability"] for c in captions), reverse=True)
        assert len({c["text"] for c in captions}) == len(captions)
        for caption in captions:
            assert set(caption["text"].split()) <= words and len(caption["text"].split()) <= 20
    asked = api.post(url, {"image": {"id": items[0]["id"]}})
    assert len(asked.json["captions"]) <= 4
    picture = base64.b64encode((folder / items[0]["id"]).read_bytes()).decode()
    assert api.post(url, {"image": {"base64": picture}}).json == asked.json
    assert api.post(url, {"id": items[0]["id"]}).json == asked.json
    assert api.post(url, {"id": items[0]["id"], "modality": "image", "beam": 4}).json == asked.json


def test_captions_refused(api, shapes):
    _, path, model = shapes
    url = f"{path}/models/{model}:caption"
    one = {"image": {"id": "000000.png"}}
    for body, pointer in [({**one, "beam": 0}, "/beam"), ({**one, "beam": 17}, "/beam"),
                          ({**one, "beam": "4"}, "/beam"), ({}, ""), ([], ""),
                          ({"text": "a red circle"}, "/text"), ({**one, "x": 1}, "/x"),
                          ({"image": {}}, "/image/base64"), ({"image": {"id": 1}}, "/image/id"),
                          ({"image": {"base64": "?"}}, "/image/base64"),
                          ({"id": "000000.png", "modality": "text"}, "/modality"),
                          ({"vector": [1, 2], "modality": "image"}, "/vector"),
                          ({"vector": [1, 2], "modality": "text"}, "/modality"),
                          ({"vector": [1, 2]}, "/modality"),
                          ({"compose": {**one, "text": "red"}}, "/compose")]:
        reply = api.post(url, body)
        assert (reply.status, reply.pointer) == (422, pointer), body
    assert api.post(url, {"image": {"base64": "Zm9v"}}).code == "image_undecodable"
    assert api.post(url, {"image": {"id": "nobody"}}).status == 404
    assert api.post(url, "{").status == 400
    assert api.post(url, "x", kind="text/plain").status == 415
    assert api.post(f"{path}/models/m_999:caption", one).status == 404


def drawn(reply):
    assert reply.status == 200
    for image in reply.json["images"]:
        width, height, raw = pixels(base64.b64decode(image["base64"], validate=True))
        assert (width, height, image["type"]) == (SIDE, SIDE, "image/png")
        yield raw


def test_pictures(api, shapes):
    _, path, model = shapes
    url = f"{path}/models/{model}:render"
    text = "a large red circle in the top left"
    four = list(drawn(api.post(url, {"text": text, "seed": 7, "count": 4})))
    assert len(four) == 4 and len(set(four)) == 4
    assert list(drawn(api.post(url, {"text": text, "seed": 7, "count": 4}))) == four
    assert not set(four) & set(drawn(api.post(url, {"text": text, "seed": 8, "count": 4})))
    assert not set(four) & set(drawn(api.post(url, {"text": "a small blue triangle", "seed": 7,
                                                    "count": 4})))
    assert len(list(drawn(api.post(url, {"text": text})))) == 1
    assert len(list(drawn(api.post(url, {"text": text, "count": 16})))) == 16
    item = api.get(f"{path}/items/000000.png").json
    assert list(drawn(api.post(url, {"id": "000000.png", "seed": 7}))) == list(
        drawn(api.post(url, {"text": item["texts"][0], "seed": 7})))


def test_one_picture_as_the_reply(api, shapes):
    _, path, model = shapes
    url = f"{path}/models/{model}:render"
    body = {"text": "a large red circle", "seed": 7}
    want = list(drawn(api.post(url, body)))
    reply = api.post(url, body, headers={"Accept": "image/png"})
    assert (reply.status, reply.kind) == (200, "image/png")
    assert [pixels(reply.data)[2]] == want
    assert reply.headers["vary"] == "Accept"
    for accept in ("*/*", "application/json", "image/png;q=0, */*", "image/png, application/json"):
        reply = api.post(url, body, headers={"Accept": accept})
        assert (reply.kind, list(drawn(reply))) == ("application/json", want)
    reply = api.post(url, {**body, "count": 2}, headers={"Accept": "image/png"})
    assert (reply.status, reply.pointer) == (422, "/count")


def test_pictures_refused(api, shapes):
    _, path, model = shapes
    url = f"{path}/models/{model}:render"
    one = {"text": "a red circle"}
    for body, pointer in [({**one, "count": 0}, "/count"), ({**one, "count": 17}, "/count"),
                          ({**one, "seed": -1}, "/seed"), ({**one, "seed": 2**53}, "/seed"),
                          ({}, ""), ([], ""), ({**one, "x": 1}, "/x"), ({"text": ""}, "/text"),
                          ({"image": {"id": "000000.png"}}, "/image"),
                          ({"id": "000000.png", "modality": "image"}, "/modality"),
                          ({"vector": [1], "modality": "text"}, "/vector")]:
        reply = api.post(url, body)
        assert (reply.status, reply.pointer) == (422, pointer), body
    assert api.post(url, {"id": "nobody"}).status == 404
    assert api.post(url, "{").status == 400
    assert api.post(url, "x", kind="text/plain").status == 415


def test_a_model_without_them_says_how_to_train_one(api, shapes):
    _, path, _ = shapes
    bare = api.job(api.post(f"{path}/trainings", {
        "method": "gxn", "params": {**SMALL, "captions": False, "generator": "none", "epochs": 1},
        "activate": "never"}))["result"]["model"]
    assert api.get(f"{path}/models/{bare}").json["can"] == ["embed_image", "embed_text"]
    for verb, body, how in [("caption", {"image": {"id": "000000.png"}}, '"captions": true'),
                            ("render", {"text": "a circle"}, '"generator": "pixels"'),
                            ("reconstruct", {"text": "a circle"}, '"generator": "feature"')]:
        reply = api.post(f"{path}/models/{bare}:{verb}", body)
        assert (reply.status, reply.code) == (409, "no_model")
        assert how in reply.json["detail"] and bare in reply.json["detail"]


def test_with_the_client(daemon, shapes, tmp_path):
    folder, _, model = shapes
    said = json.loads(client(daemon, "caption", "scenes", "000000.png", "-m", model, "-b", 2,
                             "--json").stdout)
    shown = client(daemon, "caption", "scenes", folder / "000000.png", "-m", model, "-b", 2)
    lines = shown.stdout.decode().splitlines()
    assert [line.split(None, 1) for line in lines[1:]] == [
        [f"{c['log_probability']:.3f}", c["text"]] for c in said["captions"]]
    out = tmp_path / "drawn.png"
    for seed in (1, 2):
        done = client(daemon, "render", "scenes", "a large red circle", "-o", out, "--seed", seed,
                      "-m", model)
        assert done.stdout.decode() == f"{out}\n"
        assert pixels(out.read_bytes())[:2] == (SIDE, SIDE)
    done = client(daemon, "render", "scenes", "a large red circle", "-o", out, "--seed", 2,
                  "-n", 3, "-m", model)
    names = [tmp_path / f"drawn-{i}.png" for i in (1, 2, 3)]
    assert done.stdout.decode().split() == [str(name) for name in names]
    assert names[0].read_bytes() == out.read_bytes()
    assert len({name.read_bytes() for name in names}) == 3
    assert client(daemon, "render", "scenes", "a circle", "-o", tmp_path / "no/such.png", "-m",
                  model, code=1).stderr


def test_they_outlive_a_restart(tmp_path, shapes, daemon):
    """Another daemon reads the model's folder as this one wrote it: same words, same pictures."""
    folder, _, _ = shapes
    with live.Daemon(tmp_path) as other:
        subprocess.run([CLIENT, "--server", other.base, "import", str(folder), "--collection",
                        "s", "--label-levels", "0", "--image-encoder", "pixels",
                        "--text-encoder", "words"], check=True, capture_output=True, timeout=120)
        model = other.train("s", method="gxn", params={**SMALL, "epochs": 2}, activate="always")
        ask = {"caption": {"id": "000003.png"}, "render": {"text": "a blue circle", "seed": 5}}
        asked = {verb: other.must("POST", f"/v1/collections/s/models/{model}:{verb}", body)
                 for verb, body in ask.items()}
    with other:
        for verb, body in ask.items():
            assert other.must("POST", f"/v1/collections/s/models/{model}:{verb}", body) == \
                asked[verb]
