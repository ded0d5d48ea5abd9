"""Jobs: the list, cancelling, and their events."""
import contract
import live

LONG = {"method": "acmr", "params": {"epochs": 5000}, "activate": "always"}


def running(api, job):
    """Waits until a job has made some way."""
    def under_way():
        seen = api.get(f"/v1/jobs/{job}").json
        return seen["state"] == "running" and seen["progress"] > 0

    live.wait_for(under_way, 30)
    assert under_way()


def test_cancelling(api, trained):
    path, _ = trained
    before = api.get(f"{path}/models").json
    first = api.post(f"{path}/trainings", LONG).json["id"]
    second = api.post(f"{path}/trainings", LONG).json["id"]
    reply = api.delete(f"/v1/jobs/{second}")
    assert (reply.status, reply.json["state"]) == (200, "cancelled")
    running(api, first)
    reply = api.delete(f"/v1/jobs/{first}")
    assert reply.status == 202
    live.wait_for(lambda: api.get(f"/v1/jobs/{first}").json["state"] == "cancelled", 5)
    assert api.get(f"/v1/jobs/{first}").json["state"] == "cancelled"
    assert api.delete(f"/v1/jobs/{first}").status == 409
    assert api.delete(f"/v1/jobs/{second}").status == 409
    assert api.get(f"{path}/models").json == before


def test_a_running_job_shows_its_way(api, trained):
    job = api.post(f"{trained[0]}/trainings", LONG).json["id"]
    running(api, job)
    live.wait_for(lambda: api.get(f"/v1/jobs/{job}").json["curves"], 30)
    seen = api.get(f"/v1/jobs/{job}").json
    assert 0 < seen["progress"] < 1
    assert seen["stage"] and seen["started_at"] and not seen["finished_at"]
    assert all(0 < len(curve) <= 500 for curve in seen["curves"].values())
    assert api.delete(f"/v1/jobs/{job}").status == 202
    live.wait_for(lambda: api.get(f"/v1/jobs/{job}").json["state"] == "cancelled", 5)


def test_list(api, trained):
    path, _ = trained
    done = [api.job(api.post(f"{path}/models/identity:evaluate", {"pairs": [["i1", "i1"]]}))["id"]
            for _ in range(3)]
    page = api.get("/v1/jobs?limit=2").json
    assert [job["id"] for job in page["jobs"]] == done[:0:-1]
    after = api.get(f"/v1/jobs?limit=1&cursor={page['next']}").json
    assert after["jobs"][0]["id"] == done[0]
    own = api.get("/v1/jobs?collection=trained&limit=1000").json["jobs"]
    assert own and all(job["collection"] == "trained" for job in own)
    assert api.get("/v1/jobs?collection=none").json == {"jobs": [], "next": None}
    assert all(job["state"] == "cancelled"
               for job in api.get("/v1/jobs?state=cancelled").json["jobs"])
    for bad in ("state=lost", "cursor=xyz", "limit=0", "limit=1001", "page=2"):
        assert api.get(f"/v1/jobs?{bad}").status == 422


def test_unknown(api):
    assert api.get("/v1/jobs/j_999999").status == 404
    assert api.delete("/v1/jobs/j_999999").status == 404
    assert api.get("/v1/jobs/j_999999/events").status == 404
    for path in ("/v1/jobs/j_1?x=1", "/v1/jobs/%FF"):
        assert api.get(path).status == 422
    assert api.delete("/v1/jobs/j_1?x=1").status == 422
    assert api.get("/v1/jobs/j_1/events?x=1").status == 422


def events(reply):
    """[(id, event, data)] of a stream."""
    ret = []
    for block in reply.data.decode().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
        if "event" in fields:
            ret.append((int(fields["id"]), fields["event"], fields["data"]))
    return ret


def test_events(api, trained):
    path, _ = trained
    started = api.post(f"{path}/trainings", {
        "method": "acmr", "params": {"epochs": 10}, "activate": "never"})
    job = started.json["id"]
    stream = api.get(f"/v1/jobs/{job}/events")  # to its end
    assert stream.headers["content-type"] == "text/event-stream"
    told = events(stream)
    kinds = [event for _, event, _ in told]
    assert {"state", "progress", "curve", "end"} <= set(kinds)
    assert kinds[-1] == "end" and kinds.count("end") == 1
    ids = [number for number, _, _ in told]
    assert ids == sorted(set(ids))
    middle = ids[len(ids) // 2]
    rest = api.get(f"/v1/jobs/{job}/events", headers={"Last-Event-ID": str(middle)})
    assert events(rest) == [event for event in told if event[0] > middle]
    assert api.get(f"/v1/jobs/{job}/events", headers={"Last-Event-ID": "x"}).status == 422
    done = api.job(started)
    assert api.delete(f"{path}/models/{done['result']['model']}").status == 204


def test_jobs_resume(tmp_path):
    """A stop sends a training back to the queue, a crash is survived; one model comes of it."""
    from conftest import pairs
    with live.Daemon(tmp_path) as daemon:
        api = contract.Client(daemon)
        path = "/v1/collections/c"
        api.put(path, {"image_encoder": {"name": "external", "dim": 12},
                       "text_encoder": {"name": "external", "dim": 8}})
        api.ndjson(f"{path}/items:import", pairs(300))
        job = api.post(f"{path}/trainings", {
            "method": "acmr", "params": {"epochs": 1500}, "activate": "always"}).json["id"]
        running(api, job)
        assert daemon.stop() < live.STOP_S
        daemon.start()
        running(api, job)
        daemon.kill()
        daemon.start()
        live.wait_for(lambda: api.get(f"/v1/jobs/{job}").json["state"] == "done", 60)
        done = api.get(f"/v1/jobs/{job}").json
        assert done["state"] == "done", done
        models = api.get(f"{path}/models").json["models"]
        assert [model["id"] for model in models] == ["identity", done["result"]["model"]]
        # Over and out of memory, its end is still told.
        daemon.stop()
        daemon.start()
        told = events(api.get(f"/v1/jobs/{job}/events"))
        assert [event for _, event, _ in told] == ["state", "end"]
