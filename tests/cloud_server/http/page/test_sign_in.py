from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import httpx
import pytest
from fleet_parts import fleet_server
from page_parts import PASSWORD, Fleet, options_of

from cloud_server.access.tls import TlsFiles
from cloud_server.config import ServerConfig
from edge_sdk.errors import ConfigError
from edge_sdk.security.certificates import Authority


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


def test_wrong_passwords_are_few(tmp_path: Path, checkpoint: Path) -> None:
    with fleet_server(tmp_path, str(checkpoint), *options_of(tmp_path)) as server:
        fleet = Fleet(server, {}, [])
        with fleet.client() as client:
            given = ("eve", "look-er") * 5 + ("look-er",)
            codes = [
                fleet.post(client, "/sign-in", "/sign-in", name=name, password="wrong password").status_code
                for name in given
            ]
            assert codes == [401] * 10 + [429]
            assert fleet.post(client, "/sign-in", "/sign-in", name="look-er", password=PASSWORD).status_code == 429


def test_a_proxy_signs_people_in(tmp_path: Path, checkpoint: Path) -> None:
    options = [*options_of(tmp_path), "--page-proxy", "127.0.0.1=X-Forwarded-User"]
    with fleet_server(tmp_path, str(checkpoint), *options) as server:
        fleet = Fleet(server, {}, [])
        with fleet.client() as client:
            assert client.get("/").status_code == 403
            assert client.get("/", headers={"X-Forwarded-User": "eve"}).status_code == 403
            assert client.get("/sign-in").headers["location"] == "/"
            client.headers["X-Forwarded-User"] = "operate-er"
            page = client.get("/").text
            assert "operate-er" in page
            assert "Sign out" not in page
            reply = fleet.post(client, "/settings", "/settings", target="*", threshold="0.5")
            assert reply.status_code == 303
            assert client.post("/settings", data={"key": "0" * 64, "target": "*"}).status_code == 403


def test_over_tls_cookies_are_for_encrypted_links_alone(tmp_path: Path, checkpoint: Path, browser: Any) -> None:
    authority = Authority(tmp_path / "keys")
    pair = authority.issue_server(["localhost", "127.0.0.1"])
    tls = ("--tls-cert", str(pair.cert), "--tls-key", str(pair.key), "--http-tls")
    with fleet_server(tmp_path, str(checkpoint), *options_of(tmp_path), *tls) as server:
        address = f"https://{server.http}"
        trusted = ssl.create_default_context(cafile=str(authority.files.cert))
        with httpx.Client(base_url=address, verify=trusted, trust_env=False, timeout=None) as client:
            assert Fleet.post(client, "/sign-in", "/sign-in", name="look-er", password=PASSWORD).status_code == 303
            assert client.get("/").status_code == 200
            assert len(client.cookies.jar) == 2 and all(cookie.secure for cookie in client.cookies.jar)
            assert client.get("/readyz").text == "serving\n"
        context = browser.new_context(base_url=address, ignore_https_errors=True)
        context.set_default_timeout(0)
        tab = context.new_page()
        tab.goto("/sign-in")
        tab.get_by_label("Name").fill("look-er")
        tab.get_by_label("Password").fill(PASSWORD)
        tab.keyboard.press("Enter")
        tab.wait_for_url(f"{address}/")
        assert {(cookie["secure"], cookie["httpOnly"]) for cookie in context.cookies()} == {(True, True)}
        context.close()


def test_a_page_beyond_this_machine_is_asked_for_in_words(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="passwords would travel in the clear"):
        ServerConfig(reports=tmp_path, page=True, http_port=0, http_host="0.0.0.0")
    with pytest.raises(ConfigError, match="expected --reports FOLDER and --http"):
        ServerConfig(page=True, http_port=0)
    with pytest.raises(ConfigError, match="expected --tls-cert, --tls-key and --http"):
        ServerConfig(reports=tmp_path, page=True, http_port=0, http_tls=True)
    tls = TlsFiles(tmp_path / "cert", tmp_path / "key")
    assert ServerConfig(reports=tmp_path, page=True, http_port=0, http_host="0.0.0.0", tls=tls, http_tls=True).page
