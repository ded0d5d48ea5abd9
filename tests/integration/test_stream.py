"""Imports of any length in bounded memory, and clients that are slow to send or to read.

ISTHMUS_STREAM_MB sets the length of each stream; 1024 is the full size.
"""
import io
import json
import os
import random
import re
import socket
import tarfile

import live

MB = int(os.environ.get("ISTHMUS_STREAM_MB", "100"))
LIMIT = 200e6  # bytes resident at most, whatever the length
N = 2000  # ids; a stream writes them again and again
ITEMS = "/v1/collections/v/items"


def lines(rng):
    """NDJSON of MB megabytes: small vectors and a filler; each round is a new version."""
    filler = "".join(chr(rng.randrange(97, 123)) for _ in range(16000))
    sent = i = 0
    while sent < MB * 1e6:
        block = live.ndjson({"id": f"s{k % N}", "metadata": {"n": k, "filler": filler},
                             "vectors": {"image": [1 + k % 11, *[k % 5] * (live.DIM - 1)]}}
                            for k in range(i, i + 16))
        i += 16
        sent += len(block)
        yield block


def pictures(rng):
    """A tar of MB megabytes: noise of about a megabyte a picture, with a sidecar each."""
    noise = live.png(560, 560, lambda x, y: rng.randbytes(3))
    sent = i = 0
    while sent < MB * 1e6:
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for name, data in ((f"t/{i}.png", noise), (f"t/{i}.txt", b"Noise, %d" % i)):
                member = tarfile.TarInfo(name)
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
            end = out.tell()
        i += 1
        sent += end
        yield out.getvalue()[:end]
    yield b"\0" * 1024


def upload(daemon, collection, blocks, kind):
    """Sends an iterator of blocks as one request; gives the answer's summary."""
    connection = daemon.connect(600)
    connection.request("POST", f"/v1/collections/{collection}/items:import?results=failed", blocks,
                       {"Content-Type": kind}, encode_chunked=True)
    reply = connection.getresponse()
    data = reply.read().splitlines()
    connection.close()
    assert reply.status == 200, data
    return json.loads(data[-1])["summary"]


def test_long_streams(tmp_path):
    rng = random.Random(3)
    with live.Daemon(tmp_path) as daemon:
        live.load_vectors(daemon)
        summary = upload(daemon, "v", lines(rng), "application/x-ndjson")
        ndjson = daemon.resident("VmHWM")
        assert summary["failed"] == 0
        assert summary["created"] == N and summary["updated"] > 0
        daemon.must("PUT", "/v1/collections/t", live.FILE_FREE)
        summary = upload(daemon, "t", pictures(rng), "application/x-tar")
        tar = daemon.resident("VmHWM")
        assert summary["failed"] == 0 and summary["created"] >= MB * 0.9
        print(f"{MB} MB each: {ndjson / 1e6:.0f} MB resident at most after NDJSON, "
              f"{tar / 1e6:.0f} after tar")
        assert daemon.is_sanitized() or max(ndjson, tar) < LIMIT


def test_slow_clients(tmp_path):
    """One that stops in the middle of a line, one that does not read: others do not notice."""
    rng = random.Random(4)
    with live.Daemon(tmp_path) as daemon:
        live.load_vectors(daemon)
        filler = "".join(chr(rng.randrange(97, 123)) for _ in range(16000))
        body = live.ndjson({"id": f"s{k}", "metadata": {"filler": filler},
                            "vectors": {"image": [k + 1] * live.DIM}} for k in range(3000))
        daemon.must("POST", f"{ITEMS}:import", body, kind="application/x-ndjson")
        host, port = daemon.address.split(":")
        reader = socket.socket()
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader.connect((host, int(port)))
        reader.sendall(f"GET {ITEMS}:export HTTP/1.1\r\nHost: localhost\r\n"
                       "Connection: close\r\n\r\n".encode())
        sender = socket.create_connection((host, int(port)))
        line = b'{"id": "slow", "vectors": {"image": [%s]}}\n' % b",".join([b"1"] * live.DIM)
        sender.sendall(b"POST %s:import HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                       b"Content-Type: application/x-ndjson\r\nContent-Length: %d\r\n\r\n%s"
                       % (ITEMS.encode(), len(line), line[:20]))
        before = daemon.resident()
        for i in range(60):
            daemon.must("PUT", f"{ITEMS}/w{i}", {"vectors": {"image": [1, *[2] * (live.DIM - 1)]}})
            daemon.must("POST", "/v1/collections/v/query", {"query": {"id": f"w{i}"}})
        grown = daemon.resident() - before
        print(f"{grown / 1e6:.1f} MB more on {before / 1e6:.1f} for two slow clients")
        assert daemon.is_sanitized() or grown < 40e6  # of 48 to read
        sender.sendall(line[20:])
        assert b'"status":"created"' in read_all(sender).replace(b" ", b"")
        whole = read_all(reader)
        assert len(set(re.findall(rb'"id":"(s\d+)"', whole))) == 3000
        assert len(whole) > 3000 * 16000


def read_all(connection):
    connection.settimeout(60)
    parts = []
    while data := connection.recv(1 << 16):
        parts.append(data)
    connection.close()
    return b"".join(parts)
