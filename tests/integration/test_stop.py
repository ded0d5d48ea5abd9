"""SIGTERM with an upload open and a training running: out within ten seconds, nothing lost."""
import json
import socket
import threading

import live

ITEMS = "/v1/collections/v/items"


class Upload(threading.Thread):
    """One import without an end; keeps what it was answered when it was cut."""

    def __init__(self, address):
        super().__init__()
        host, port = address.split(":")
        self.socket = socket.create_connection((host, int(port)), timeout=30)
        self.sent = 0
        self.reply = b""

    def run(self):
        reader = threading.Thread(target=self.read)
        reader.start()
        head = (f"POST {ITEMS}:import HTTP/1.1\r\nHost: localhost\r\n"
                "Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            self.socket.sendall(head.encode())
            while not self.reply:
                body = live.ndjson({"id": f"u{self.sent + i}",
                                    "vectors": {"image": [1 + i % 7, *[1] * (live.DIM - 1)]}}
                                   for i in range(50))
                self.socket.sendall(b"%x\r\n%s\r\n" % (len(body), body))
                self.sent += 50
        except OSError:
            pass
        reader.join()
        self.socket.close()

    def read(self):
        try:
            while data := self.socket.recv(1 << 16):
                self.reply += data
        except OSError:
            pass

    def answered(self):
        """Ids that the answer, if there was one, calls created."""
        lines = [line for line in self.reply.splitlines() if line.startswith(b'{"')]
        found = [json.loads(line) for line in lines if line.endswith(b"}")]
        return {line["id"] for line in found if line.get("status") == "created"}


def test_sigterm(tmp_path):
    daemon = live.Daemon(tmp_path)
    with daemon:
        live.load_vectors(daemon)
        job = daemon.must("POST", "/v1/collections/v/trainings", {
            "method": "acmr", "params": {"epochs": 60000}, "activate": "never"})["id"]
        upload = Upload(daemon.address)
        upload.start()
        plain = [f"p{i}" for i in range(20)]
        for i in plain:
            daemon.must("PUT", f"{ITEMS}/{i}", {"vectors": {"image": [2] * live.DIM}})
        live.wait_for(lambda: upload.sent >= 2000 and daemon.must(
            "GET", f"/v1/jobs/{job}")["progress"] > 0, 30)
        assert daemon.must("GET", f"/v1/jobs/{job}")["state"] == "running"
        took = daemon.stop()
        upload.join()
        print(f"stopped in {took:.1f} s; {len(upload.answered())} of {upload.sent} lines answered")
        assert took < live.STOP_S
    with daemon:
        assert daemon.must("GET", f"/v1/jobs/{job}")["state"] in ("queued", "running", "done")
        found = {json.loads(line)["id"]
                 for line in daemon.must("GET", f"{ITEMS}:export").splitlines()}
        assert not set(plain) - found
        assert not upload.answered() - found
        assert {f"i{i:03}" for i in range(160)} <= found
        daemon.must("DELETE", f"/v1/jobs/{job}")
        assert daemon.job(job)["state"] == "cancelled"


def test_a_job_goes_on_after_a_stop(tmp_path):
    """From its checkpoint: the first that it says of its training is past where it was cut."""
    daemon = live.Daemon(tmp_path)
    with daemon:
        live.load_vectors(daemon)
        job = daemon.must("POST", "/v1/collections/v/trainings", {
            "method": "acmr", "params": {"epochs": 1500}, "activate": "never"})["id"]
        live.wait_for(lambda: daemon.must("GET", f"/v1/jobs/{job}")["progress"] > 0.3, 60, 0.005)
        at = daemon.must("GET", f"/v1/jobs/{job}")
        assert at["state"] == "running"
    with daemon:
        found = {}

        def trains():
            found.update(daemon.must("GET", f"/v1/jobs/{job}"))
            return found["state"] == "done" or (
                found["state"] == "running" and str(found["stage"]).startswith("epoch "))

        live.wait_for(trains, 60, 0.001)
        assert found["progress"] >= at["progress"], "it began again"
        done = daemon.job(job)
        assert done["state"] == "done" and done["error"] is None
        steps = [step for step, _ in next(iter(done["curves"].values()))]
        assert steps[0] == 1 and steps == sorted(set(steps)), "a step was done twice"
