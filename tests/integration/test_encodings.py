"""Encodings are kept by content, over collections, restarts and kills; those of queries in memory.

A stop does not wait for all that was sent, and both pretrained encoders fit into little memory.
"""
import base64
import http.client
import json
import pathlib
import socket
import threading

import pytest

import live
import test_clip

N = 60
CLIP = {"image_encoder": "clip", "text_encoder": "clip"}
COUNTED = ("pictures_encoded", "texts_encoded", "decoded", "encoding_cache_hits",
           "encoding_cache_misses", "recent_hits", "recent_misses")


def records(n=N, first=0):
    """Small pictures, each with a text of its own and one that comes twice."""
    out = []
    for i in range(first, first + n):
        picture = live.png(8, 8, lambda x, y, i=i: (i % 256, x * 30, y * 30 + i // 256))
        out.append({"id": f"p{i:04}", "image": {"base64": base64.b64encode(picture).decode()},
                    "texts": [f"picture {i}", f"one of the pair {i // 2}"]})
    return out


def load(daemon, collection, items, status="created"):
    daemon.must("PUT", f"/v1/collections/{collection}", CLIP)
    lines = daemon.must("POST", f"/v1/collections/{collection}/items:import", live.ndjson(items),
                        kind="application/x-ndjson").splitlines()
    assert [json.loads(line)["status"] for line in lines[:-1]] == [status] * len(items), lines[:3]


def counters(daemon):
    text = daemon.must("GET", "/metrics").decode()
    values = dict(line.split() for line in text.splitlines() if line and line[0] != "#"
                  and "{" not in line)
    return {name: int(values[f"isthmus_{name}_total"]) for name in COUNTED}


class Counted:
    """What the counters gained inside a `with`."""

    def __init__(self, daemon):
        self.daemon = daemon

    def __enter__(self):
        self.before = counters(self.daemon)
        return self

    def __exit__(self, *_):
        after = counters(self.daemon)
        for name in COUNTED:
            setattr(self, name, after[name] - self.before[name])


def features(daemon, collection):
    """Of every item, as the model of the encoders' own space sees them."""
    found = {}
    for i in range(0, N, 7):
        item = f"p{i:04}"
        hits = daemon.must("POST", f"/v1/collections/{collection}/query", {
            "query": {"id": item}, "target": "any", "limit": 5, "exact": True})["hits"]
        found[item] = [(h["id"], round(h["similarity"], 4)) for h in hits]
    return found


@pytest.fixture
def daemon(tmp_path):
    test_clip.install(tmp_path / "data")
    return live.Daemon(tmp_path)


def cache_file(daemon):
    return daemon.folder / "data/cache/encodings.db"


def test_kept_by_content(daemon):
    with daemon:
        with Counted(daemon) as first:
            load(daemon, "a", records())
        assert first.pictures_encoded == N and first.texts_encoded == 2 * N
        assert first.encoding_cache_hits == 0 and first.encoding_cache_misses == 3 * N
        wanted = features(daemon, "a")
        with Counted(daemon) as second:
            load(daemon, "b", records())
        assert second.pictures_encoded == second.texts_encoded == second.decoded == 0
        assert second.encoding_cache_hits == 3 * N
        daemon.must("POST", "/v1/collections/a/items:delete",
                    {"ids": [f"p{i:04}" for i in range(N)]})
        with Counted(daemon) as again:
            load(daemon, "a", records())
        assert again.pictures_encoded == again.texts_encoded == again.decoded == 0
        assert features(daemon, "a") == features(daemon, "b") == wanted
    with daemon:
        with Counted(daemon) as restarted:
            load(daemon, "c", records(N + 1))
        assert restarted.pictures_encoded == 1 and restarted.decoded == 1
        assert restarted.texts_encoded == 1 + (N % 2 == 0)
        image = daemon.must("GET", "/v1/collections/c/items/p0003")["image"]
        assert (image["type"], image["width"], image["height"]) == ("image/png", 8, 8)


def test_unchanged_is_not_looked_up(daemon):
    with daemon:
        load(daemon, "a", records())
        with Counted(daemon) as same:
            load(daemon, "a", records(), "unchanged")
        assert same.encoding_cache_hits == same.encoding_cache_misses == 0


def test_single_items(daemon):
    """PUT keeps and finds like an import."""
    with daemon:
        load(daemon, "a", [])
        item = records(1)[0]
        del item["id"]
        with Counted(daemon) as one:
            daemon.must("PUT", "/v1/collections/a/items/x", item)
            daemon.must("PUT", "/v1/collections/a/items/y", item)
        assert one.pictures_encoded == 1 and one.texts_encoded == 2
        assert one.encoding_cache_hits == 3


def test_queries_are_kept_in_memory(daemon):
    query = {"query": {"text": "a  picture of\ta boat "}, "target": "image", "limit": 3}
    same = {"query": {"text": "a picture of a boat"}, "target": "image", "limit": 3}
    picture = {"query": {"image": records(1)[0]["image"]}, "target": "text", "limit": 3}
    with daemon:
        load(daemon, "a", records(N, 1))
        with Counted(daemon) as asked:
            hits = [daemon.must("POST", "/v1/collections/a/query", q)["hits"]
                    for q in (query, same, query)]
        assert asked.texts_encoded == 1
        assert (asked.recent_hits, asked.recent_misses) == (2, 1)
        assert hits[0] == hits[1] == hits[2]
        with Counted(daemon) as asked:
            for _ in range(3):
                daemon.must("POST", "/v1/collections/a/query", picture)
        assert asked.pictures_encoded == asked.decoded == 1 and asked.recent_hits == 2


DAMAGES = {
    "no database": lambda path: path.write_bytes(b"this is no database " * 500),
    "cut short": lambda path: path.write_bytes(path.read_bytes()[:path.stat().st_size // 2]),
    "empty": lambda path: path.write_bytes(b""),
    "deleted": lambda path: path.unlink(),
    "changed": lambda path: path.write_bytes(bytes(
        b ^ (0x5a if i > 8192 and i % 97 == 0 else 0) for i, b in enumerate(path.read_bytes()))),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged(daemon, damage):
    with daemon:
        load(daemon, "a", records())
        wanted = features(daemon, "a")
    DAMAGES[damage](cache_file(daemon))
    with daemon:
        load(daemon, "b", records())
        assert features(daemon, "b") == wanted
        load(daemon, "c", records())
        with Counted(daemon) as whole_again:
            load(daemon, "d", records())
        assert whole_again.pictures_encoded == whole_again.texts_encoded == 0
    dropped = "encoding_cache_dropped" in daemon.log.read_text()
    assert dropped == (damage in ("no database", "cut short", "changed"))


def test_switched_off(daemon):
    daemon.flags = ("--cache-size", "0")
    with daemon:
        for collection in ("a", "b"):
            with Counted(daemon) as each:
                load(daemon, collection, records())
            assert each.pictures_encoded == N and each.texts_encoded == 2 * N
        assert not cache_file(daemon).exists()


def test_bounded(daemon):
    """Far more than fits: the file stays small, and what came last is there."""
    daemon.flags = ("--cache-size", "64KiB")
    with daemon:
        load(daemon, "a", records(600))
        with Counted(daemon) as last:
            load(daemon, "b", records(20, 580))
        assert last.pictures_encoded == 0
        with Counted(daemon) as first:
            load(daemon, "c", records(20))
        assert first.pictures_encoded == 20
    assert cache_file(daemon).stat().st_size < 512 << 10


def test_killed(daemon):
    """kill -9 in the midst of an import, twice: what the cache holds is right."""
    items = records(400)
    for _ in range(2):
        daemon.start()

        def send():
            try:
                load(daemon, "a", items)
            except (OSError, AssertionError, http.client.HTTPException):
                pass

        thread = threading.Thread(target=send)
        thread.start()
        live.wait_for(lambda: counters(daemon)["pictures_encoded"] > 100
                      or not thread.is_alive(), 30, 0.005)
        daemon.kill()
        thread.join()
    with daemon:
        load(daemon, "b", items)
        wanted = features(daemon, "b")
    cache_file(daemon).unlink()
    with daemon:
        load(daemon, "c", items)
        assert features(daemon, "c") == wanted


def test_stop_in_an_import(daemon):
    """Lines for all that was read whole, out in time, and only what is there was called created."""
    daemon.flags = ("--import-threads", "1")
    with daemon:
        daemon.must("PUT", "/v1/collections/a", CLIP)
        host, port = daemon.address.split(":")
        connection = socket.create_connection((host, int(port)), timeout=60)
        connection.sendall(b"POST /v1/collections/a/items:import HTTP/1.1\r\nHost: localhost\r\n"
                           b"Content-Type: application/x-ndjson\r\nContent-Length: 100000000\r\n"
                           b"\r\n" + live.ndjson(records(500)))
        live.wait_for(lambda: counters(daemon)["pictures_encoded"] > 20, 30, 0.005)
        took = daemon.stop()
        reply = b""
        while data := connection.recv(1 << 16):
            reply += data
        connection.close()
    assert took < live.STOP_S
    lines = [json.loads(line) for line in reply.splitlines() if line.startswith(b'{"line"')
             and line.endswith(b"}")]
    created = {line["id"] for line in lines if line["status"] == "created"}
    assert [line["line"] for line in lines] == list(range(1, len(lines) + 1))
    with daemon:
        there = {json.loads(line)["id"] for line in daemon.must(
            "GET", "/v1/collections/a/items:export").splitlines()}
    print(f"stopped in {took:.1f} s: {len(created)} created of {len(lines)} lines, "
          f"{len(there)} there")
    assert created == there


def test_queries_beside_an_import(daemon):
    """Both go on: every query is answered while pictures are encoded."""
    with daemon:
        load(daemon, "a", records(20))
        items = records(1500, 20)
        thread = threading.Thread(target=load, args=(daemon, "a", items))
        thread.start()
        answered = 0
        while thread.is_alive():
            reply = daemon.must("POST", "/v1/collections/a/query", {
                "query": {"text": f"question {answered}"}, "target": "image", "limit": 3})
            assert len(reply["hits"]) == 3
            answered += 1
        thread.join()
        print(f"{answered} queries beside an import of {len(items)} pictures")
        assert answered > 10
        assert daemon.must("GET", "/v1/collections/a")["counts"]["items"] == 1520


def test_real_encoders_in_little_memory(tmp_path):
    """Both pretrained encoders in use, where they are installed: under 150 MB."""
    folder = pathlib.Path(live.BUILD / "encoders")
    if not (folder / "all-minilm-l6-v2").exists() or not (folder / "efficientnet-lite0").exists():
        pytest.skip("the pretrained encoders are not installed beside the build")
    with live.Daemon(tmp_path) as daemon:
        idle = daemon.resident()
        if daemon.is_sanitized():
            pytest.skip("a sanitizer's own memory is not ours to count")
        daemon.must("PUT", "/v1/collections/a", {"image_encoder": "efficientnet-lite0",
                                                 "text_encoder": "all-minilm-l6-v2"})
        daemon.must("POST", "/v1/collections/a/items:import", live.ndjson(records(200)),
                    kind="application/x-ndjson")
        for i in range(50):
            daemon.must("POST", "/v1/collections/a/query", {
                "query": {"text": f"a blue bird that sings, {i}"}, "target": "text"})
            daemon.must("POST", "/v1/collections/a/query", {
                "query": {"image": records(1, 1000 + i)[0]["image"]}, "target": "image"})
        used = daemon.resident()
        print(f"{idle / 1e6:.1f} MB before, {used / 1e6:.1f} MB with both encoders in use, "
              f"{daemon.resident('VmHWM') / 1e6:.1f} at most")
        assert idle < 20e6
        assert used < 150e6
