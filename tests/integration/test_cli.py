"""The client: what it sends, what it prints, how it ends."""
import csv
import http.server
import io
import itertools
import json
import os
import pty
import re
import signal
import struct
import subprocess
import tarfile
import threading

import pytest

import live

CLIENT = live.BUILD / "isthmus"
names = (f"cli{n}" for n in itertools.count(1))


class Cli:
    """The client against one server, with a cache folder of its own."""

    def __init__(self, base, cache):
        self.env = {**os.environ, "ISTHMUS_SERVER": base, "XDG_CACHE_HOME": str(cache)}
        self.env.pop("NO_COLOR", None)

    def run(self, *args, code=0, **more):
        done = subprocess.run([CLIENT, *map(str, args)], env=self.env, capture_output=True,
                              text=True, timeout=120, **more)
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        return done

    def json(self, *args, **more):
        return json.loads(self.run(*args, "--json", **more).stdout)

    def start(self, *args):
        return subprocess.Popen([CLIENT, *map(str, args)], env=self.env, text=True,
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE)

    def terminal(self, *args):
        """What a person sees; the client must end with 0."""
        parent, child = pty.openpty()
        process = subprocess.Popen([CLIENT, *map(str, args)], env={**self.env, "TERM": "xterm"},
                                   stdin=child, stdout=child, stderr=child)
        os.close(child)
        seen = b""
        while True:
            try:
                piece = os.read(parent, 65536)
            except OSError:  # the other end is closed
                break
            if not piece:
                break
            seen += piece
        os.close(parent)
        assert process.wait(120) == 0, seen
        return seen.decode()


@pytest.fixture
def cli(daemon, tmp_path):
    return Cli(daemon.base, tmp_path / "cache")


@pytest.fixture
def collection():
    return next(names)


def count(daemon, collection):
    status, data = daemon.ask("GET", f"/v1/collections/{collection}")
    return data["counts"]["items"] if status == 200 else 0


@pytest.fixture
def folder(tmp_path):
    """Pictures of four classes in topic/class folders, captions beside them, one broken."""
    top = tmp_path / "pictures"
    for i, (_, picture, texts, label, metadata) in enumerate(live.stamps(24)):
        place = top / metadata["topic"] / label
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{i}.png").write_bytes(picture)
        (place / f"{i}.txt").write_text(f"{texts[0]}\nde.utf8=Bild {i}\n")
    (top / "animals/seals/1.json").write_text('{"year": 2004, "label": "seal"}')
    (top / "food/apples/torn.png").write_bytes(b"\x89PNG\r\n\x1a\nand no more")
    return top


# ---- import ----

def test_folder(cli, daemon, collection, folder):
    done = cli.run("import", folder, "-c", collection, "--label-levels", 2, code=1)
    assert "25 items: 24 created, 0 updated, 0 unchanged, 1 failed" in done.stdout
    assert re.search(r"failed  .*/food/apples/torn.png: .*\(image_undecodable\)", done.stderr)
    assert "1 of 25 records failed" in done.stderr
    item = daemon.must("GET", f"/v1/collections/{collection}/items/animals%2Fbirds%2F0.png")
    assert item["texts"] == ["A bird that swims, 0"]
    assert item["label"] == "animals/birds"
    assert item["metadata"] == {"topic": "animals"}
    item = daemon.must("GET", f"/v1/collections/{collection}/items/animals%2Fseals%2F1.png")
    assert item["label"] == "seal" and item["metadata"] == {"topic": "animals", "year": 2004}
    done = cli.run("import", folder, "-c", collection, "--label-levels", 2, "--exclude", "*torn*")
    assert "24 items: 0 created, 0 updated, 24 unchanged, 0 failed" in done.stdout
    summary = cli.json("import", folder, "-c", collection, "--label-levels", 2,
                       "--languages", "en,de", code=1)
    assert (summary["updated"], summary["failed"]) == (24, 1)
    assert summary["failures"][0]["code"] == "image_undecodable"
    assert summary["failures"][0]["id"] == "food/apples/torn.png"


def test_csv(cli, daemon, collection, tmp_path):
    (tmp_path / "a.png").write_bytes(live.png(8, 8, lambda x, y: (x * 30, y * 30, 9)))
    with open(tmp_path / "items.csv", "w", newline="") as file:
        csv.writer(file).writerows([
            ["id", "image", "text", "label", "year"], ["a", "a.png", 'one, "two"\nthree', "x", 7],
            ["b", "", "words", "", ""], ["c", "gone.png", "words", "", ""]])
    done = cli.run("import", tmp_path / "items.csv", "-c", collection, code=1)
    assert "row 3: no file" in done.stderr
    item = daemon.must("GET", f"/v1/collections/{collection}/items/a")
    assert item["texts"] == ['one, "two"\nthree'] and item["metadata"] == {"year": 7}
    assert item["image"]["width"] == 8
    assert count(daemon, collection) == 2


def test_tar(cli, daemon, collection, tmp_path):
    with tarfile.open(tmp_path / "set.tar", "w") as tar:
        for i, (_, picture, texts, label, _) in enumerate(live.stamps(4)):
            for name, data in (("png", picture), ("txt", texts[0].encode()),
                               ("cls", label.encode())):
                info = tarfile.TarInfo(f"set/{i:04}.{name}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    cli.run("import", tmp_path / "set.tar", "-c", collection)
    item = daemon.must("GET", f"/v1/collections/{collection}/items/set%2F0003")
    assert item["label"] == "apples" and item["image"]["type"] == "image/png"
    (tmp_path / "cut.tar").write_bytes((tmp_path / "set.tar").read_bytes()[:3000])
    done = cli.run("import", tmp_path / "cut.tar", "-c", next(names), code=1)
    assert "cut" in done.stderr or "truncated" in done.stderr.lower()


def npy(rows):
    head = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({len(rows)}, {len(rows[0])}), }}\n"
    return (b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode()
            + b"".join(struct.pack(f"<{len(row)}f", *row) for row in rows))


def test_npy(cli, daemon, collection, tmp_path):
    (tmp_path / "x.npy").write_bytes(npy([[1, 2, 3], [4, 5, 6]]))
    (tmp_path / "y.npy").write_bytes(npy([[0.5, 1], [2, 4]]))
    (tmp_path / "labels.txt").write_text("u\nv\n")
    (tmp_path / "meta.ndjson").write_text('{"id": "a", "part": "train"}\n{"id": "b"}\n')
    vectors = ["--image-vectors", tmp_path / "x.npy", "--text-vectors", tmp_path / "y.npy"]
    cli.run("import", *vectors, "--labels", tmp_path / "labels.txt", "--meta",
            tmp_path / "meta.ndjson", "-c", collection)
    found = daemon.must("GET", f"/v1/collections/{collection}")
    assert found["image_encoder"] == {"name": "external", "dim": 3}
    assert found["text_encoder"] == {"name": "external", "dim": 2}
    item = daemon.must("GET", f"/v1/collections/{collection}/items/a")
    assert item["label"] == "u" and item["metadata"] == {"part": "train"}
    hits = daemon.must("POST", f"/v1/collections/{collection}/query",
                       {"query": {"vector": [4, 5, 6], "modality": "image"}, "target": "image"})
    assert hits["hits"][0]["id"] == "b"
    done = cli.run("import", *vectors, "-c", collection, "--image-encoder", "external:4", code=1)
    assert "encoder_mismatch" in done.stderr
    cli.run("import", tmp_path, *vectors, "-c", collection, code=2)


def test_ndjson_by_standard_input(cli, daemon, collection):
    lines = "".join(json.dumps({"id": f"i{i}", "texts": [f"text {i}"]}) + "\n"
                    for i in range(2500))
    done = cli.run("import", "-", "-c", collection, code=1,
                   input=lines + '{"id": "bad"}\nno JSON\n')
    assert "2502 items: 2500 created" in done.stdout
    assert "line 2501: an item has" in done.stderr
    assert re.search(r"line 2502: .*\(bad_json\)", done.stderr)
    assert count(daemon, collection) == 2500


def test_of_two_with_one_id_the_later_wins(cli, daemon, collection):
    lines = "".join(json.dumps({"id": f"i{i % 7}", "texts": [f"text {i}"]}) + "\n"
                    for i in range(700))
    cli.run("import", "-", "-c", collection, input=lines)
    for i in range(7):
        item = daemon.must("GET", f"/v1/collections/{collection}/items/i{i}")
        assert item["texts"] == [f"text {693 + i}"]


def test_export_and_back(cli, daemon, collection, folder, tmp_path):
    cli.run("import", folder, "-c", collection, "--exclude", "*torn*")
    cli.run("export", collection, "-o", tmp_path / "out.ndjson")
    copy = next(names)
    cli.run("import", tmp_path / "out.ndjson", "-c", copy)
    assert cli.run("export", copy).stdout == (tmp_path / "out.ndjson").read_text()
    again = cli.run("import", "-", "-c", collection, input=(tmp_path / "out.ndjson").read_text())
    assert "24 unchanged" in again.stdout
    bare = cli.run("export", collection, "--no-images", "--filter", "topic=food").stdout
    items = [json.loads(line) for line in bare.splitlines()]
    assert len(items) == 12 and all("base64" not in (item.get("image") or {}) for item in items)
    full = cli.run("export", collection, "-o", "/dev/full", code=1)
    assert "No space left" in full.stderr


# ---- cut short ----

def text_lines(n):
    return [json.dumps({"id": f"i{i}", "texts": [f"text {i}"]}) + "\n" for i in range(n)]


def test_daemon_gone_in_mid_import(tmp_path):
    lines = text_lines(400)
    with live.Daemon(tmp_path / "daemon") as daemon:
        cli = Cli(daemon.base, tmp_path / "cache")
        process = cli.start("import", "-", "-c", "c", "--retries", 0)
        process.stdin.writelines(lines[:200])
        process.stdin.flush()
        live.wait_for(lambda: count(daemon, "c") >= 32, 30)
        daemon.kill()
        out, err = process.communicate("".join(lines[200:]), timeout=60)
        assert process.returncode == 1, (out, err)
        safe = int(re.search(r"(\d+) items are safe, the same command goes on", err)[1])
        assert safe >= 32
        daemon.start()
        assert count(daemon, "c") >= safe
        cli = Cli(daemon.base, tmp_path / "cache")
        done = cli.run("import", "-", "-c", "c", input="".join(lines))
        assert f"{safe} sent before" in done.stdout
        assert count(daemon, "c") == 400
        assert not list((tmp_path / "cache/isthmus/import").iterdir())
        # It ended well, so the next one sends all again; and so does --restart.
        done = cli.run("import", "-", "-c", "c", input="".join(lines))
        assert "400 unchanged" in done.stdout


def test_interrupted(cli, daemon, collection):
    lines = text_lines(200)
    process = cli.start("import", "-", "-c", collection)
    process.stdin.writelines(lines)
    process.stdin.flush()
    live.wait_for(lambda: count(daemon, collection) >= 32, 30)
    process.send_signal(signal.SIGINT)
    # What was read by then may wake it, or the next line does.
    out, err = process.communicate(lines[0], timeout=60)
    assert process.returncode == 130, (out, err)
    assert "interrupted" in err and "items are safe" in err
    done = cli.run("import", "-", "-c", collection, input="".join(lines))
    assert "sent before" in done.stdout
    assert count(daemon, collection) == 200


class Stub(http.server.BaseHTTPRequestHandler):
    """A server that answers imports by a script: a status, or "cut"."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.reply(200, {"name": "c", "created_at": "now"})

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.bodies.append(body)
        what = self.server.script.pop(0) if self.server.script else 200
        if what == "cut":
            self.close_connection = True
        elif what == "half":
            self.reply(200, None, b'{"line":1,"id":"i0","status":"failed","code":"x"}\n')
        elif what == 200:
            n = body.count(b"\n")
            self.reply(200, {"summary": {"created": n, "updated": 0, "unchanged": 0, "failed": 0}})
        else:
            self.reply(what, {"detail": f"said {what}", "code": "unavailable"})

    def reply(self, status, document, data=None):
        data = data or json.dumps(document, separators=(",", ":")).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Retry-After", "0")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


@pytest.fixture
def stub():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Stub)
    server.script, server.bodies = [], []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_request_is_sent_again(stub, tmp_path):
    cli = Cli("http://%s:%d" % stub.server_address, tmp_path / "cache")
    stub.script = [503, "cut", 429, "half"]
    summary = cli.json("import", "-", "-c", "c", input="".join(text_lines(10)))
    assert (summary["created"], summary["failed"]) == (10, 0)
    assert len(stub.bodies) == 5 and len(set(stub.bodies)) == 1


def test_what_is_not_sent_again(stub, tmp_path):
    cli = Cli("http://%s:%d" % stub.server_address, tmp_path / "cache")
    stub.script = [422]
    done = cli.run("import", "-", "-c", "c", input="".join(text_lines(10)), code=1)
    assert "said 422" in done.stderr and len(stub.bodies) == 1
    stub.script = [503] * 9
    done = cli.run("import", "-", "-c", "c", "--retries", 1, input="".join(text_lines(10)), code=1)
    assert "said 503" in done.stderr and len(stub.bodies) == 3


def test_requests_are_bounded(stub, tmp_path):
    cli = Cli("http://%s:%d" % stub.server_address, tmp_path / "cache")
    cli.run("import", "-", "-c", "c", input="".join(text_lines(9000)))
    assert max(body.count(b"\n") for body in stub.bodies) == 1000
    stub.bodies.clear()
    long = [json.dumps({"id": f"i{i}", "texts": ["x" * (9 << 20)]}) + "\n" for i in range(8)]
    cli.run("import", "-", "-c", "d", input="".join(long))
    assert sum(body.count(b"\n") for body in stub.bodies) == 8
    assert max(len(body) for body in stub.bodies) <= 32 << 20
    stub.bodies.clear()
    done = cli.run("import", "-", "-c", "e", input='{"id":"%s"}\n' % ("x" * (33 << 20)), code=1)
    assert "over 32 MiB" in done.stderr and not stub.bodies


# ---- queries, trainings, models ----

@pytest.fixture(scope="module")
def trained_by_client(daemon, tmp_path_factory):
    """Twenty pairs a class, trained by the client; what it printed."""
    cli = Cli(daemon.base, tmp_path_factory.mktemp("cache"))
    lines = "".join(
        json.dumps({"id": f"{i}", "label": f"k{i % 4}", "texts": [f"text {i}"],
                    "metadata": {"n": i},
                    "vectors": {"image": [float(i % 4 == k) + 0.01 * (i * 7 % 13)
                                          for k in range(4)],
                                "texts": [[float(i % 4 == 3 - k) + 0.01 * (i * 5 % 11)
                                           for k in range(4)]]}}) + "\n" for i in range(160))
    cli.run("collections", "create", "trained-cli", "--image-encoder", "external:4",
            "--text-encoder", "external:4", "--split", '{"validation": 0.2, "test": 0.3}')
    cli.run("import", "-", "-c", "trained-cli", input=lines)
    done = cli.run("train", "trained-cli", "--method", "acmr", "--param", "epochs=5",
                   "--param", "similarity=cosine", "--seed", 3, "--activate", "always")
    return cli, done


def test_train_shows_figures_beside_baselines(trained_by_client):
    _, done = trained_by_client
    assert re.search(r"Model m_\d+, active from now on", done.stdout)
    for row in ("acmr, by cosine", "label predictor alone", "linear", "logistic", "chance"):
        line = re.search(rf"^{row}.*$", done.stdout, re.M)
        figure = r"[01]\.\d{3} \[[01]\.\d{3}, [01]\.\d{3}\]"
        assert line and re.search(figure, line[0]), (row, done.stdout)
    assert "\033" not in done.stdout + done.stderr


def test_what_a_model_imagines(trained_by_client):
    cli, acmr = trained_by_client
    done = cli.run("train", "trained-cli", "--method", "corrae", "--param", "epochs=100",
                   "--param", "code=8", "--activate", "never")
    model = re.search(r"Model (m_\d+)", done.stdout).group(1)
    shown = cli.run("reconstruct", "trained-cli", model, "--id", "7", "--modality", "text",
                    "-n", 3).stdout
    assert shown.count("image") == 3
    reply = cli.json("reconstruct", "trained-cli", model, "--id", "7", "--modality", "text",
                     "--target", "text")
    assert reply["modality"] == "text" and len(reply["vector"]) == 4
    assert {hit["modality"] for hit in reply["nearest"]} == {"text"}
    cli.run("reconstruct", "trained-cli", model, code=2)
    cli.run("reconstruct", "trained-cli", model, "--id", "7", "--text", "x", code=2)
    model = re.search(r"Model (m_\d+)", acmr.stdout).group(1)
    assert "(no_model)" in cli.run("reconstruct", "trained-cli", model, "--id", "7",
                                   code=1).stderr


def test_what_a_model_cannot(trained_by_client, tmp_path):
    cli, _ = trained_by_client
    out = tmp_path / "drawn.png"
    for args in (("caption", "trained-cli", "7"), ("caption", "trained-cli", "7", "--beam", 1),
                 ("render", "trained-cli", "a seal", "-o", out)):
        done = cli.run(*args, code=1)
        assert "(no_model)" in done.stderr
    assert not out.exists()
    assert "(not_found)" in cli.run("caption", "trained-cli", "7", "-m", "m_999", code=1).stderr
    assert "where to?" in cli.run("render", "trained-cli", "a seal", code=2).stderr
    for args in (("caption", "trained-cli"), ("caption", "trained-cli", "7", "--beam", 17),
                 ("render", "trained-cli", "a", "-o", out, "-n", 0)):
        cli.run(*args, code=2)
    shown = cli.run("models", "trained-cli", "active").stdout
    assert re.search(r"^can: embed_image, embed_text$", shown, re.M)


def test_models(trained_by_client, daemon):
    cli, _ = trained_by_client
    models = cli.json("models", "trained-cli")
    active = next(model for model in models if model["active"])
    assert active["method"] == "acmr" and active["params"]["epochs"] == 5 and active["seed"] == 3
    assert active["id"] in cli.run("models", "trained-cli").stdout
    assert "label predictor alone" in cli.run("models", "trained-cli", "active").stdout
    assert cli.json("models", "trained-cli", "active")["id"] == active["id"]
    done = cli.run("models", "trained-cli", active["id"], "--delete", code=1)
    assert "(conflict)" in done.stderr
    other = cli.run("train", "trained-cli", "-m", "linear", "--detach").stdout.strip()
    followed = cli.json("jobs", other, "--follow")
    assert followed["state"] == "done"
    second = followed["result"]["model"]
    cli.run("models", "trained-cli", second, "--activate")
    assert daemon.must("GET", "/v1/collections/trained-cli")["active_model"] == second
    cli.run("models", "trained-cli", "--rollback")
    assert daemon.must("GET", "/v1/collections/trained-cli")["active_model"] == active["id"]
    done = cli.run("models", "trained-cli", second, "--evaluate", "test")
    assert "mean average precision" in done.stdout
    cli.run("models", "trained-cli", second, "--delete")
    cli.run("models", "trained-cli", second, code=1)
    cli.run("models", "trained-cli", "--activate", code=2)


def test_jobs(trained_by_client):
    cli, _ = trained_by_client
    jobs = cli.json("jobs", "--collection", "trained-cli", "--state", "done")
    assert jobs and {job["state"] for job in jobs} == {"done"}
    job = jobs[-1]["id"]
    assert job in cli.run("jobs").stdout
    assert re.search(r"loss\w*\s+[▁▂▃▄▅▆▇█ ]+ ", cli.run("jobs", job).stdout)
    assert "(conflict)" in cli.run("jobs", job, "--cancel", code=1).stderr
    cli.run("jobs", "--cancel", code=2)
    started = cli.run("train", "trained-cli", "--param", "epochs=2000", "--activate", "never",
                      "--detach").stdout.strip()
    cli.run("jobs", started, "--cancel")
    done = cli.run("jobs", started, "--follow", code=1)
    assert f"job {started} is cancelled" in done.stderr


def test_bad_trainings(trained_by_client):
    cli, _ = trained_by_client
    assert "epochs" in cli.run("train", "trained-cli", "-p", "epochs=x", code=1).stderr
    assert "nosuch" in cli.run("train", "trained-cli", "-m", "nosuch", code=1).stderr
    cli.run("train", "trained-cli", "-p", "epochs", code=2)
    cli.run("train", "trained-cli", "--split", "{", code=2)


def test_a_person_sees_bars_and_curves(trained_by_client, folder):
    cli, _ = trained_by_client
    seen = cli.terminal("train", "trained-cli", "-p", "epochs=400", "-p", "similarity=cosine",
                        "--activate", "never")
    assert "\033[36m" in seen and re.search(r"[█▏▎▍▌▋▊▉░]{24}\033\[0m +\d+ %", seen)
    assert re.search(r"  loss\w* +\033\[32m[▁▂▃▄▅▆▇█]{3,}", seen)
    seen = cli.terminal("import", folder, "-c", next(names), "--exclude", "*torn*")
    assert re.search(r"░\033\[0m +\d+ %  \d+ items", seen)
    assert "\033" not in cli.terminal("collections", "--color", "never")


def test_query(cli, collection, folder):
    cli.run("import", folder, "-c", collection, "--exclude", "*torn*")
    done = cli.run("query", collection, "--text", "A grey seal, 5", "--target", "text", "-n", 3)
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["score", "similarity", "found", "id", "label", "text"]
    assert lines[1].split()[2:] == ["text", "animals/seals/5.png", "animals", "A", "grey", "seal,",
                                    "5"]
    assert len(lines) == 4
    reply = cli.json("query", collection, "--image", folder / "food/apples/3.png", "--target",
                     "image", "--limit", 2)
    assert [hit["id"] for hit in reply["hits"]][0] == "food/apples/3.png"
    reply = cli.json("query", collection, "--id", "food/apples/3.png", "--target", "image",
                     "--filter", "topic=animals", "--exact")
    assert reply["hits"] and all(hit["metadata"]["topic"] == "animals" for hit in reply["hits"])
    both = [cli.json("query", collection, *by, "--target", "image", "--filter",
                     '{"eq": {"metadata.topic": "animals"}}')["hits"]
            for by in (["--id", "food/apples/3.png"], ["--image", folder / "food/apples/3.png"])]
    assert [hit["id"] for hit in both[0]] == [hit["id"] for hit in both[1]]
    assert "(no_model)" in cli.run("query", collection, "--text", "x", "--target", "image",
                                   code=1).stderr
    cli.run("query", collection, code=2)
    cli.run("query", collection, "--text", "x", "--id", "y", code=2)
    assert "no file" in cli.run("query", collection, "--image", "/gone.png", code=1).stderr


def test_texts_cannot_drive_the_terminal(cli, collection):
    cli.run("import", "-", "-c", collection,
            input=json.dumps({"id": "a", "texts": ["red \033[31m\u009b31m\ttext"]}) + "\n")
    for args in (["items", "list", collection], ["query", collection, "--text", "red text"]):
        out = cli.run(*args).stdout
        assert not re.search("[\0-\x09\x0b-\x1f\x7f-\x9f]", out)


# ---- the rest ----

def test_collections(cli, collection):
    made = cli.json("collections", "create", collection, "--image-encoder", "descriptor",
                    "--split", '{"test": 0.5}')
    assert made["split"]["test"] == 0.5
    assert collection in cli.run("collections").stdout
    assert "0 fresh" in cli.run("collections", "show", collection).stdout
    cli.run("collections", "delete", collection, code=2)
    cli.run("collections", "delete", collection, "--yes")
    assert "(not_found)" in cli.run("collections", "show", collection, code=1).stderr
    cli.run("collections", "paint", collection, code=2)
    cli.run("collections", "show", code=2)


def test_items(cli, collection):
    weird = "a b/ü?#%2F"
    cli.run("import", "-", "-c", collection, input=json.dumps({"id": weird, "texts": ["x"]}) + "\n")
    assert weird in cli.run("items", "list", collection).stdout
    assert cli.json("items", "get", collection, weird)["id"] == weird
    cli.run("items", "delete", collection, weird)
    cli.run("items", "delete", collection, weird, code=1)
    cli.run("items", "get", collection, code=2)


def test_info_and_methods(cli):
    assert "GFLOP/s" in cli.run("info").stdout
    assert "descriptor" in cli.run("info").stdout
    assert "acmr" in cli.run("methods").stdout
    assert "epochs" in cli.run("methods", "acmr").stdout
    assert cli.json("methods", "acmr")["name"] == "acmr"
    cli.run("methods", "nosuch", code=1)


def test_no_server(cli, tmp_path):
    done = cli.run("info", "--server", "http://127.0.0.1:1", code=1)
    assert "start the daemon" in done.stderr and len(done.stderr.splitlines()) == 1
    assert "start the daemon" in cli.run("import", "-", "-c", "x", "--server", "127.0.0.1:1",
                                         code=1, input="").stderr
    cli.run("info", "--server", "ftp://x", code=2)
    cli.run("info", "--server", "http://", code=2)


def test_help_and_version(cli):
    assert cli.run(code=2).stdout == cli.run("--help").stdout
    assert "--collection" in cli.run("import", "--help").stdout
    assert re.match(r"isthmus \d+\.\d+", cli.run("--version").stdout)


def complete(cli, script, *words):
    line = " ".join(f"'{word}'" for word in words)
    done = subprocess.run(
        ["bash", "--norc", "-c", f"source {script}; COMP_WORDS=({line}); "
         f"COMP_CWORD={len(words) - 1}; _isthmus; printf '%s\\n' \"${{COMPREPLY[@]}}\""],
        capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_completion(cli, tmp_path):
    script = tmp_path / "isthmus.bash"
    script.write_text(cli.run("completion", "bash").stdout)
    assert complete(cli, script, "isthmus", "coll") == ["collections"]
    assert complete(cli, script, "isthmus", "query", "--ta") == ["--target"]
    assert complete(cli, script, "isthmus", "query", "--target", "") == ["image", "text", "any"]
    assert complete(cli, script, "isthmus", "collections", "c") == ["create"]
    assert complete(cli, script, "isthmus", "train", "--act") == ["--activate"]
    assert complete(cli, script, "isthmus", "info", "--color", "al") == ["always"]
    (tmp_path / "some.csv").touch()
    assert complete(cli, script, "isthmus", "import", f"{tmp_path}/so") == [f"{tmp_path}/some.csv"]


def test_manual(cli):
    page = cli.run("manual").stdout
    assert page.startswith(".TH ISTHMUS 1")
    assert (live.BUILD / "isthmus.1").read_text() == page
    for heading in ("NAME", "SYNOPSIS", "COMMANDS", "EXIT STATUS", "ENVIRONMENT", "EXAMPLES"):
        assert f"\n.SH {heading}\n" in page
