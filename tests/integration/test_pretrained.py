"""The encoders that deploy/setup fetches, over HTTP, against golden numbers of the same weights."""
import base64
import json
import math
import struct

import pytest

import contract
import live

NAMES = {"image": "efficientnet-lite0", "text": "all-minilm-l6-v2"}
FOLDER = live.BUILD / "encoders"
GOLDEN = live.ROOT / "tests/golden"

pytestmark = pytest.mark.skipif(
    not all((FOLDER / name / "model.safetensors").exists() for name in NAMES.values()),
    reason="without the pretrained encoders (deploy/setup fetches them)")


def tensors(path):
    """{name: rows of floats} of a safetensors file of matrices and vectors."""
    data = path.read_bytes()
    n, = struct.unpack("<Q", data[:8])
    ret = {}
    for name, tensor in json.loads(data[8:8 + n]).items():
        if name != "__metadata__":
            width = tensor["shape"][-1]
            start, end = (8 + n + at for at in tensor["data_offsets"])
            x = struct.unpack(f"<{(end - start) // 4}f", data[start:end])
            ret[name] = [x[i:i + width] for i in range(0, len(x), width)]
    return ret


def cosine(a, b):
    dot = sum(x * y for x, y in zip(a, b))
    return dot / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


@pytest.fixture(scope="module")
def pretrained(api):
    """The path of a collection that named no encoders."""
    reply = api.put("/v1/collections/pretrained", {})
    assert reply.status == 201
    assert {m: reply.json[f"{m}_encoder"] for m in NAMES} == {
        "image": {"name": NAMES["image"], "dim": 1280}, "text": {"name": NAMES["text"], "dim": 384}}
    return "/v1/collections/pretrained"


def embed(api, path, inputs):
    reply = api.post(f"{path}/embed", {"inputs": inputs})
    assert reply.status == 200, reply.data
    return reply.json["vectors"]


def test_listed(api, pretrained):
    for modality, name in NAMES.items():
        row = api.get(f"/v1/encoders/{name}").json
        assert row["modalities"] == [modality] and "error" not in row
        assert row["loaded"] and not row["removable"] and "pretrained" in row["collections"]
        assert api.delete(f"/v1/encoders/{name}").status == 409


def test_texts(api, pretrained):
    texts = json.loads((GOLDEN / "bert/real.json").read_text())
    wanted = tensors(GOLDEN / "bert/real.safetensors")["real"]
    pairs = [(t["text"], w) for t, w in zip(texts, wanted)
             if t["text"].strip() and "\0" not in t["text"]]
    found = embed(api, pretrained, [{"text": text} for text, _ in pairs])
    for (text, want), got in zip(pairs, found):
        assert cosine(got, want) > .99999, text


def test_pictures(api, pretrained):
    """As the golden ones were made: a white square around each."""
    assert api.put("/v1/collections/pretrained-padded", {"geometry": "pad"}).status == 201
    golden = tensors(GOLDEN / "efficientnet/pictures.safetensors")
    names = [name for name in golden if not name.startswith("stamps/")]
    found = embed(api, "/v1/collections/pretrained-padded", [
        {"image": {"base64": base64.b64encode(
            (GOLDEN / "efficientnet" / name).read_bytes()).decode()}} for name in names])
    for name, got in zip(names, found):
        assert len(got) == 1280 and cosine(got, golden[name][0]) > .9995, name


def test_meaning(api, pretrained):
    """What no n-gram knows: texts that mean the same have no word in common."""
    texts = {"violin": "A violin.", "ship": "A sail boat.", "orange": "An orange.", "cow": "A cow."}
    api.ndjson(f"{pretrained}/items:import", ({"id": i, "texts": [t]} for i, t in texts.items()))
    for words, wanted in (("a musical instrument with strings", "violin"), ("citrus", "orange"),
                          ("a farm animal", "cow"), ("a way to travel across the sea", "ship")):
        reply = api.post(f"{pretrained}/query", {"query": {"text": words}, "target": "text"})
        assert reply.json["hits"][0]["id"] == wanted, words


def test_memory(tmp_path, pretrained):
    """Both in use; weights are mapped, so pages of the text encoder's table come as words do."""
    with live.Daemon(tmp_path) as daemon:
        api = contract.Client(daemon)
        api.put("/v1/collections/c", {})
        picture = live.png(64, 64, lambda x, y: (x * 4, y * 4, 90))
        embed(api, "/v1/collections/c", [{"text": "a boat at dusk"}])
        embed(api, "/v1/collections/c", [{"image": {"base64": base64.b64encode(picture).decode()}}])
        if not daemon.is_sanitized():
            assert daemon.resident() < 150 << 20
