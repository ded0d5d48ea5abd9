"""Encoders: the search path, installed and removed while the daemon runs, and what is refused.

The encoder that is sent is the small CLIP with random weights of tests/golden, whole or spoilt.
"""
import io
import json
import shutil
import struct
import tarfile
import threading

import pytest

import contract
import live
from test_cli import Cli

GOLDEN = live.ROOT / "tests/golden/clip"
FILES = ("config.json", "model.safetensors", "preprocessor_config.json", "vocab.json", "merges.txt")
TAR = "application/x-tar"
LIMIT = 4 << 20


def folder():
    """Name -> bytes of the files of the small CLIP."""
    return {name: (GOLDEN / name).read_bytes() for name in FILES}


def tar(files, inside=""):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(inside + name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


class Weights:
    """A safetensors file taken apart: the header as JSON, the bytes of the tensors."""

    def __init__(self, data):
        n, = struct.unpack("<Q", data[:8])
        self.header = json.loads(data[8:8 + n])
        self.data = bytearray(data[8 + n:])

    def bytes(self):
        text = json.dumps(self.header).encode()
        text += b" " * (-len(text) % 8)
        return struct.pack("<Q", len(text)) + text + bytes(self.data)


def spoil(change):
    """The folder's tar after `change(weights)`."""
    files = folder()
    weights = Weights(files["model.safetensors"])
    change(weights)
    files["model.safetensors"] = weights.bytes()
    return tar(files)


def configured(**members):
    """The folder's tar with other members in config.json."""
    files = folder()
    config = json.loads(files["config.json"])
    config.update(members)
    files["config.json"] = json.dumps(config).encode()
    return tar(files)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A client of a daemon that takes encoders of at most LIMIT bytes."""
    with live.Daemon(tmp_path_factory.mktemp("encoders"), "--max-encoder", str(LIMIT)) as daemon:
        yield contract.Client(daemon)


def names(api):
    return [e["name"] for e in api.get("/v1/encoders").json["encoders"]]


def upload(api, name, body):
    return api.put(f"/v1/encoders/{name}", body, kind=TAR)


def test_installed_used_removed(small):
    sent = upload(small, "tiny", tar(folder()))
    assert sent.status == 201
    row = sent.json
    assert (row["modalities"], row["dim"], row["architecture"]) == (["image", "text"], 20, "clip")
    assert row["removable"] and not row["builtin"] and row["collections"] == []
    assert row["bytes"] == sum(len(data) for data in folder().values())
    assert small.get("/v1/encoders/tiny").json == row
    # The folder around it does not matter, and the same encoder again changes nothing.
    again = upload(small, "tiny", tar(folder(), "./some-model/"))
    assert (again.status, again.json["fingerprint"]) == (200, row["fingerprint"])

    both = {"image_encoder": "tiny", "text_encoder": "tiny"}
    assert small.put("/v1/collections/pictures", both).status == 201
    assert small.get("/v1/encoders/tiny").json["collections"] == ["pictures"]
    used = small.delete("/v1/encoders/tiny")
    assert (used.status, used.code) == (409, "conflict") and "pictures" in used.json["detail"]
    small.put("/v1/collections/pictures/items/x", {"texts": ["a red boat"]})
    assert small.delete("/v1/collections/pictures").status == 204
    assert small.delete("/v1/encoders/tiny").status == 204
    assert small.delete("/v1/encoders/tiny").status == 404
    assert small.get("/v1/encoders/tiny").status == 404
    gone = small.put("/v1/collections/pictures", both)
    assert (gone.status, gone.pointer) == (422, "/image_encoder")
    assert "descriptor" in gone.json["detail"], "the answer names the encoders that there are"


def test_durable(tmp_path):
    with live.Daemon(tmp_path) as daemon:
        assert daemon.ask("PUT", "/v1/encoders/tiny", tar(folder()), kind=TAR)[0] == 201
        daemon.kill()
        spool = tmp_path / "data/encoders/.part-cut"
        spool.mkdir()
        daemon.start()
        row = daemon.must("GET", "/v1/encoders/tiny")
        assert row["removable"] and "error" not in row
        assert not spool.exists(), "what a cut upload left is removed at the start"
        assert daemon.ask("DELETE", "/v1/encoders/tiny")[0] == 204
        assert list((tmp_path / "data/encoders").iterdir()) == []


def nan(weights):
    at = weights.header["visual_projection.weight"]["data_offsets"][0]
    weights.data[at + 40:at + 44] = struct.pack("<f", float("nan"))


def shape(weights):
    tensor = weights.header["text_projection.weight"]
    tensor["shape"] = tensor["shape"][::-1]


def absent(weights):
    weights.header["other"] = weights.header.pop("vision_model.pre_layrnorm.bias")


def dtype(weights):
    tensor = weights.header["visual_projection.weight"]
    tensor["dtype"] = "I32"


def beyond(weights):
    tensor = weights.header["visual_projection.weight"]
    tensor["data_offsets"][1] += 1 << 40
    tensor["shape"] = [1 << 38, 1]


@pytest.mark.parametrize("body, words", [
    (lambda: spoil(nan), ["visual_projection.weight", "finite"]),
    (lambda: spoil(shape), ["text_projection.weight", "20"]),
    (lambda: spoil(absent), ["vision_model.pre_layrnorm.bias"]),
    (lambda: spoil(dtype), ["visual_projection.weight", "I32"]),
    (lambda: spoil(beyond), ["visual_projection.weight"]),
    (lambda: tar({**folder(), "model.safetensors": folder()["model.safetensors"][:-1000]}),
     ["model.safetensors"]),
    (lambda: tar({**folder(), "model.safetensors": b""}), ["model.safetensors"]),
    (lambda: tar({**folder(), "vocab.json": b"{"}), ["vocab.json"]),
    (lambda: tar({n: d for n, d in folder().items() if n != "merges.txt"}), ["merges.txt"]),
    (lambda: tar({n: d for n, d in folder().items() if n != "config.json"}), ["config.json"]),
    (lambda: configured(model_type="gpt2"), ["gpt2", "clip"]),
    (lambda: configured(model_type=None), ["model_type"]),
    (lambda: configured(projection_dim=10**9), ["projection_dim"]),
    (lambda: tar({**folder(), "config.json": b"[" * 100000}), ["config.json"]),
    (lambda: tar({}), ["no file"]),
], ids=["nan", "shape", "absent", "dtype", "beyond", "truncated", "empty", "vocabulary", "merges",
        "no-config", "unknown", "typeless", "oversized", "nested", "nothing"])
def test_a_wrong_one_is_named(small, body, words):
    """And leaves the daemon as it was: nothing listed, nothing left on the disk."""
    before, files = names(small), sorted(small.daemon.folder.rglob("data/encoders/*"))
    reply = upload(small, "wrong", body())
    assert (reply.status, reply.code) == (422, "invalid"), reply.data
    assert all(word in reply.json["detail"] for word in words), reply.json["detail"]
    assert str(small.daemon.folder) not in reply.json["detail"]
    assert names(small) == before
    assert sorted(small.daemon.folder.rglob("data/encoders/*")) == files


def member(name, kind=tarfile.REGTYPE, link=""):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, link
        archive.addfile(info)
    return buffer.getvalue()


@pytest.mark.parametrize("body", [
    lambda: member("../config.json"), lambda: member("a/../../b"), lambda: member("a/b/c/d"),
    lambda: member("model.safetensors", tarfile.SYMTYPE, "/etc/passwd"),
    lambda: member("model.safetensors", tarfile.LNKTYPE, "/etc/passwd"),
    lambda: member("config.json", tarfile.FIFOTYPE), lambda: member("with space/config.json"),
    lambda: tar({f"file{i}": b"" for i in range(65)}),
    lambda: tar({"config.json": b"{}"})[:1024] + tar({"config.json": b"{}"}),
], ids=["up", "over", "deep", "symlink", "hardlink", "fifo", "space", "many", "twice"])
def test_members_stay_inside(small, body):
    assert upload(small, "wrong", body()).status == 422
    assert "wrong" not in names(small)


def test_what_is_no_tar(small):
    whole = tar(folder())
    for body in (b"x" * 10000, whole[:len(whole) // 2]):
        reply = upload(small, "wrong", body)
        assert (reply.status, reply.code) == (422, "invalid") and "tar" in reply.json["detail"]
    assert small.put("/v1/encoders/wrong", whole).status == 415
    assert small.put("/v1/encoders/wrong", whole, kind="application/zip").status == 415
    for name in ("external", "%2e%2e", "a%2fb", "a%20b", "x" * 65):
        assert upload(small, name, whole).status == 422, name
    assert "wrong" not in names(small)


def test_too_large(small):
    large = {**folder(), "model.safetensors": bytes(LIMIT + 1)}
    assert upload(small, "wrong", tar(large)).status == 413
    # One that does not say how long it is, is measured as it comes.
    connection = small.daemon.connect()
    pieces = (bytes(65536) for _ in range(LIMIT // 65536 + 2))
    head = tar({"config.json": bytes(8 * LIMIT)})[:512]
    connection.request("PUT", "/v1/encoders/wrong", iter([head, *pieces]), {"Content-Type": TAR},
                       encode_chunked=True)
    assert connection.getresponse().status == 413
    connection.close()
    assert "wrong" not in names(small)


def test_names_that_are_taken(small):
    for name in ("descriptor", "ngrams"):
        taken = upload(small, name, tar(folder()))
        assert (taken.status, taken.code) == (409, "conflict")
        assert small.delete(f"/v1/encoders/{name}").status == 409
    assert upload(small, "mine", tar(folder())).status == 201

    def other(weights):
        at = weights.header["visual_projection.weight"]["data_offsets"][0]
        weights.data[at:at + 4] = struct.pack("<f", .5)

    assert upload(small, "mine", spoil(other)).status == 409
    assert small.delete("/v1/encoders/mine").status == 204
    assert upload(small, "mine", spoil(other)).status == 201
    assert small.delete("/v1/encoders/mine").status == 204


def test_search_path(tmp_path):
    """A broken folder is listed with its error; one of the data folder comes before others."""
    more, data = tmp_path / "more", tmp_path / "data"
    for parent, name in ((more, "both"), (data / "encoders", "both"), (more, "cut")):
        shutil.copytree(GOLDEN, parent / name)
    weights = more / "cut/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    (more / "mystery").mkdir()
    with live.Daemon(tmp_path, "--encoders", str(more)) as daemon:
        rows = {e["name"]: e for e in daemon.must("GET", "/v1/encoders")["encoders"]}
        assert rows["both"]["removable"] and rows["both"]["dim"] is None
        assert "config.json" in rows["mystery"]["error"]
        row = daemon.must("GET", "/v1/encoders/cut")
        assert "model.safetensors" in row["error"] and not row["removable"]
        status, problem = daemon.ask("PUT", "/v1/collections/c", {"image_encoder": "cut"})
        assert (status, problem["errors"][0]["pointer"]) == (422, "/image_encoder")
        assert daemon.ask("DELETE", "/v1/encoders/cut")[0] == 409
        best = daemon.must("PUT", "/v1/collections/c", {})
        assert best["image_encoder"]["name"] == "both"


def test_loaded_early(tmp_path):
    shutil.copytree(GOLDEN, tmp_path / "data/encoders/tiny")
    with live.Daemon(tmp_path, "--preload-encoders") as daemon:
        daemon.must("PUT", "/v1/collections/c", {"image_encoder": "tiny", "text_encoder": "tiny"})
        daemon.stop()
        daemon.start()

        def loaded():
            return {e["name"]: e["loaded"] for e in daemon.must("GET", "/v1/encoders")["encoders"]}

        live.wait_for(lambda: loaded()["tiny"], 20)
        assert loaded()["tiny"] and not loaded()["descriptor"]


def test_uploads_at_once(small):
    """Eight clients (as many as may stream), two names, every third of them spoilt."""
    good, bad = tar(folder()), spoil(nan)
    seen = []

    def send(i):
        connection = small.daemon.connect()
        connection.request("PUT", f"/v1/encoders/rush{i % 2}", bad if i % 3 == 2 else good,
                           {"Content-Type": TAR})
        seen.append((i % 3 == 2, connection.getresponse().status))
        connection.close()

    threads = [threading.Thread(target=send, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {status for spoilt, status in seen if spoilt} == {422}
    assert sorted(status for spoilt, status in seen if not spoilt) == [200] * 4 + [201] * 2
    for i in range(2):
        assert small.delete(f"/v1/encoders/rush{i}").status == 204


def test_client(small, tmp_path):
    cli = Cli(small.daemon.base, tmp_path / "cache")
    shutil.copytree(GOLDEN, tmp_path / "tiny")
    assert "0.4 MB" in cli.run("encoders", "add", tmp_path / "tiny").stdout
    added = cli.json("encoders", "add", f"{tmp_path}/tiny/", "--name", "other")
    assert (added["name"], added["dim"]) == ("other", 20)
    assert {"tiny", "other", "descriptor"} <= {e["name"] for e in cli.json("encoders")}
    assert "fingerprint" in cli.run("encoders", "show", "tiny").stdout
    cli.run("encoders", "remove", "tiny")
    cli.run("encoders", "remove", "other")
    assert "tiny" not in cli.run("encoders").stdout
    assert "came with the program" in cli.run("encoders", "remove", "ngrams", code=1).stderr
    cli.run("encoders", "add", code=2)
    cli.run("encoders", "fetch", "tiny", code=2)

    # What can be seen on this side is not sent.
    weights = tmp_path / "tiny/model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1])
    cut = cli.run("encoders", "add", tmp_path / "tiny", code=1)
    assert "model.safetensors" in cut.stderr
    weights.unlink()
    assert "model.safetensors" in cli.run("encoders", "add", tmp_path / "tiny", code=1).stderr
    (tmp_path / "tiny/config.json").write_text("{}")
    assert "model_type" in cli.run("encoders", "add", tmp_path / "tiny", code=1).stderr
    assert "config.json" in cli.run("encoders", "add", tmp_path, code=1).stderr
    # What only the server sees is told as it says it.
    weights.write_bytes(whole)
    (tmp_path / "tiny/config.json").write_text('{"model_type": "nonesuch"}')
    assert "nonesuch" in cli.run("encoders", "add", tmp_path / "tiny", code=1).stderr
