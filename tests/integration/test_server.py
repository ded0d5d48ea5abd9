"""What belongs to no resource: pages, health, metrics, and errors of every request."""
import re
import socket

import yaml


def test_pages(api):
    for path in ("/", "/docs"):
        page = api.get(path)
        assert page.status == 200 and page.kind == "text/html"
    spec = api.get("/openapi.yaml")
    assert yaml.safe_load(spec.data)["openapi"].startswith("3.1")


def test_files_of_the_page(api):
    """The page names its files by hashes; they come packed, for ever, and from nowhere else."""
    import gzip
    page = api.get("/")
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'self';") and "unsafe" not in policy
    assert page.headers["cache-control"] == "no-cache"
    for path in ("/", "/docs"):
        again = api.get(path, headers={"If-None-Match": page.headers["etag"]})
        assert again.status == 304
    names = re.findall(r'(?:src|href)="(/ui/[^"]+)"', page.data.decode())
    assert {name.rpartition(".")[2] for name in names} == {"js", "css", "svg"}, names
    total = len(api.get("/", headers={"Accept-Encoding": "br"}).data)
    for name in names:  # and what these name: it grows
        plain = api.get(name)
        inner = re.findall(r'"\./([\w.]+\.js)"', plain.data.decode())
        names += [f"/ui/{one}" for one in inner if f"/ui/{one}" not in names]
        assert plain.status == 200 and "immutable" in plain.headers["cache-control"]
        assert "content-encoding" not in plain.headers
        assert plain.data == gzip.decompress(
            api.get(name, headers={"Accept-Encoding": "gzip"}).data)
        packed = api.get(name, headers={"Accept-Encoding": "gzip, br"})
        assert packed.headers["content-encoding"] == "br"
        assert packed.headers["vary"] == "Accept-Encoding"
        total += len(packed.data)
        tag = {"If-None-Match": plain.headers["etag"]}
        assert api.get(name, headers=tag).status == 304
    assert total < 150_000 and any("/chart." in name for name in names)
    assert api.get("/ui/app.000000000000.js").status == 404
    assert api.get("/ui/%zz").status == 422


def test_health(api):
    for path in ("/healthz", "/livez", "/readyz"):
        assert api.get(path).status == 200
    info = api.get("/v1/info").json
    assert info["blas"]["kernel"] and info["blas"]["gflops"] > 0
    assert "acmr" in info["methods"]
    assert 0 < info["storage"]["disk_free_bytes"] <= info["storage"]["disk_bytes"]


def test_metrics(api):
    text = api.get("/metrics").data.decode()
    samples = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert samples and all(len(line.rsplit(" ", 1)) == 2 for line in samples)
    assert any("operation" in line or "route" in line for line in samples)


def test_unknown_paths_and_methods(api):
    assert api.get("/v1/nonsense").status == 404
    assert api.get("/v2/collections").status == 404
    reply = api("DELETE", "/v1/methods")
    assert reply.status == 405 and "GET" in reply.headers["allow"]
    assert api("HEAD", "/v1/methods").status == 200


def test_other_sites_cannot_drive_it(api):
    assert api.get("/v1/info", headers={"Host": "evil.example"}).status == 403
    assert api.put("/v1/collections/evil", {}, headers={"Origin": "http://evil.example"}) \
        .status == 403
    assert api.get("/v1/info", headers={"Origin": "http://evil.example"}).status == 200
    assert api.get("/v1/collections/evil").status == 404


def test_compression(api):
    import gzip
    plain = api.get("/v1/methods")
    packed = api.get("/openapi.yaml", headers={"Accept-Encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed.data) == api.get("/openapi.yaml").data
    assert "content-encoding" not in plain.headers


def raw(daemon, data):
    """Sends bytes as they are; the first line of the answer."""
    host, port = daemon.address.split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    return answer.split(b"\r\n")[0]


def test_requests_that_are_none(daemon, api):
    assert raw(daemon, b"nonsense\r\n\r\n")[9:12] in (b"400", b"")
    assert raw(daemon, b"GET /v1/collections/a%00b HTTP/1.1\r\nHost: localhost\r\n"
                       b"Connection: close\r\n\r\n").split()[1] == b"422"
    big = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 200000 + b"\r\n\r\n"
    assert raw(daemon, big)[9:12] in (b"431", b"413", b"400", b"")
    assert api.get("/healthz").status == 200


def test_problems_tell_themselves(api):
    reply = api.get("/v1/collections/none")
    assert reply.json["type"].endswith("/errors/not_found")
    assert reply.json["instance"] == "/v1/collections/none"
    assert reply.json["request_id"]
