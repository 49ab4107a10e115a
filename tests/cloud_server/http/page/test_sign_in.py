from __future__ import annotations

import httpx
from page_parts import PASSWORD, Fleet


def test_nothing_is_shown_without_signing_in(fleet: Fleet) -> None:
    with fleet.client() as client:
        for path in ("/", "/events", "/label", "/settings", "/tokens", "/devices/ridge", "/labels.csv"):
            reply = client.get(path)
            assert (reply.status_code, reply.headers["location"]) == (303, f"/sign-in?to={path}")
        assert client.get(f"/pictures/{fleet.frames[0]}?device=ridge").status_code == 303
        assert client.get("/sign-in").status_code == 200


def test_headers_and_cookies(fleet: Fleet) -> None:
    with fleet.client() as client:
        reply = client.get("/sign-in")
        policy = reply.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert reply.headers["x-frame-options"] == "DENY"
        assert "<script" not in reply.text
        reply = fleet.post(client, "/sign-in", "/sign-in", name="look-er", password=PASSWORD)
        cookie = reply.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        assert "Secure" not in cookie
        key = client.get("/sign-in")
        assert key.headers["location"] == "/"
    with fleet.client() as client:
        client.headers["X-Forwarded-Proto"] = "https"
        assert "Secure" in client.get("/sign-in").headers["set-cookie"]


def test_forms_of_other_sites_are_refused(fleet: Fleet) -> None:
    with fleet.client("operate-er") as client:
        assert client.post("/tokens", data={"key": "0" * 64, "device": "evil"}).status_code == 403
        key = client.get("/tokens").text.partition('name="key" value="')[2].partition('"')[0]
        for headers in ({"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
            refused = client.post("/tokens", data={"key": key, "device": "evil"}, headers=headers)
            assert refused.status_code == 403
        assert client.post("/tokens", data={"device": "evil"}).status_code == 422
        assert "evil" not in client.get("/tokens").text


def test_signing_out_ends_the_session(fleet: Fleet) -> None:
    with fleet.client("look-er") as client:
        cookies = httpx.Cookies(client.cookies)
        assert client.get("/").status_code == 200
        assert fleet.post(client, "/", "/sign-out").status_code == 303
        client.cookies = cookies
        assert client.get("/").status_code == 303


def test_nobody_is_led_elsewhere(fleet: Fleet) -> None:
    for to in ("//evil.example", "https://evil.example", "/\\evil.example"):
        with fleet.client() as client:
            reply = fleet.post(client, "/sign-in", "/sign-in", name="look-er", password=PASSWORD, to=to)
            assert reply.headers["location"] == "/"


def test_roles(fleet: Fleet) -> None:
    with fleet.client("look-er") as client:
        assert client.get("/label").status_code == client.get("/settings").status_code == 403
        assert "/tokens" not in client.get("/").text
    with fleet.client("label-er") as client:
        assert client.get("/label").status_code == 200
        reply = fleet.post(client, "/label", "/tokens", device="mine")
        assert reply.status_code == 403
        assert "needs the role operate" in reply.text


def test_wrong_passwords_are_few(fleet: Fleet) -> None:
    with fleet.client() as client:
        codes = [
            fleet.post(client, "/sign-in", "/sign-in", name="eve", password="wrong password").status_code
            for _ in range(11)
        ]
        assert codes == [401] * 10 + [429]
