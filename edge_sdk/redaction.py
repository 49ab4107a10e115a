"""Addresses as they may be shown: without user name, password, and what a query or path names password, token or key.

What is shown is chosen, not what is hidden: scheme, host, port and path, and of a query the options that cameras use to
name a channel or a size. An address that cannot be read is hidden but for its scheme.
"""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

HIDDEN = "***"

_ADDRESS = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?:[^/?#]*@)?"
    r"(?P<place>(?:\[[0-9A-Fa-f:.]+(?:%[\w.-]+)?\]|[\w.-]*)(?::\d{1,5})?)"
    r"(?P<path>/[^?#@]*)?(?:\?(?P<query>[^#@]*))?(?:#[^@]*)?",
    re.DOTALL,
)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*(?=://)")
_NETWORK_SCHEME = re.compile(
    r"amqps?|ftps?|https?|mms|mqtts?|rtmps?|rtp|rtsps?|sftp|srt|ssl|tcp|udp|wss?", re.IGNORECASE
)
_USER_INFO = re.compile(r"[^:]*:[^@]*@", re.DOTALL)
_PUBLIC_OPTION = re.compile(
    r"action|app|cam(era)?(id)?|ch(n|annels?|annelid)?|clock_offset|cmd|codec|compression|encoding|format|fps|frames"
    r"|framerate|height|input|interval|media|mode|number|profile|quality|rate|realtime|res|resolution|seed|size|source"
    r"|start|stream|streamid|streamtype|subtype|transport|truth|type|unicast|video|videocodec|view|watch|width|zone",
    re.IGNORECASE,
)
_SECRET_OPTION = re.compile(
    r"access_?token|api_?key|auth|key|loginpas|loginuse|p|pass|passwd|password|psw|pwd?|secret|sid|signature|token|u"
    r"|user|username|usr",
    re.IGNORECASE,
)
_SECRET = re.compile(
    r"pass|pwd|psw|pw$|^p$|usr|user|^u$|login|auth|token|key|secret|sid|sess|sig|cred|pin$|hash|nonce|code|account|name"
    r"|jwt",
    re.IGNORECASE,
)
_PLAIN_VALUE = re.compile(r"[A-Za-z0-9.,+_:-]{0,32}", re.ASCII)
_SMALL_NUMBER = re.compile(r"\d{1,2}", re.ASCII)
_NAME = re.compile(r"[A-Za-z][A-Za-z_.-]{0,23}", re.ASCII)
_SHORTEST = 3  # characters of a secret that is looked for in other texts; a shorter one is in any text


def without_secrets(address: str) -> str:
    """The address, fit for screens, logs, journals and the wire.

    Args:
        address: a URL, or any text that may be meant as one; a text that names no credentials comes back unchanged.
    """
    scheme = _SCHEME.match(address)
    if scheme is None:
        return _without_scheme(address)
    if not any(sign in address for sign in "@=?#") and not _NETWORK_SCHEME.fullmatch(scheme[0]):
        return address
    match = _ADDRESS.fullmatch(address) if address.isprintable() else None
    if match is None:
        return f"{scheme[0]}://{HIDDEN}"
    path, is_secret = _public_path(match["path"] or "")
    query = match["query"]
    if query is not None:
        query = _public_pairs(query, underscores=is_secret)
    return f"{match['scheme']}://{match['place']}{path}{'' if query is None else '?' + query}"


def scrub(text: str, address: str) -> str:
    """Another program's text without the secrets of this address, such as an exception's message."""
    shown = without_secrets(address)
    if shown == address:
        return text
    text = text.replace(address, shown)
    for secret in secrets_of(address):
        text = text.replace(secret, HIDDEN)
    return text


def secrets_of(address: str) -> list[str]:
    """What of an address must not be shown, as it stands and decoded; longest first, short ones left out."""
    rest = address.partition("://")[2] or address
    found: set[str] = set()
    user_info, at, _ = rest.rpartition("@")
    if at:
        found |= {user_info, user_info.partition(":")[2]}
        standard = re.split(r"[/?#]", rest, maxsplit=1)[0].rpartition("@")[0]
        found |= {standard, standard.partition(":")[2]}
    for pair in re.split(r"[&;?/#]", rest):
        name, equals, value = pair.partition("=")
        if not _is_public(name, value) and (equals or f"?{pair}" in rest or f"#{pair}" in rest or f"&{pair}" in rest):
            found.add(value if equals else name)
    for secret in tuple(found):
        decoded = unquote(secret)
        found |= {decoded, unquote(secret.replace("+", " ")), quote(decoded), quote(decoded, safe="")}
    return sorted((one for one in found if len(one) >= _SHORTEST), key=len, reverse=True)


def _without_scheme(text: str) -> str:
    """A text that is no URL: a path, or an address whose scheme was left out."""
    if _USER_INFO.match(text) or "://" in text:
        return HIDDEN
    path, question, query = text.partition("?")
    return f"{path}?{_public_pairs(query)}" if question else text


def _public_path(path: str) -> tuple[str, bool]:
    """The path with `user=...&password=...` in it hidden, and whether there was such a thing."""
    shown: list[str] = []
    is_secret = False
    for part in path.split("/"):
        if "=" in part or ";" in part:
            hidden = _public_pairs(part, underscores=True)
            is_secret = is_secret or hidden != part
            shown.append(hidden)
        else:
            shown.append(HIDDEN if is_secret and part else part)  # the rest of a password with a slash in it
    return "/".join(shown), is_secret


def _public_pairs(text: str, *, underscores: bool = False) -> str:
    """`name=value` pairs: as they are where both are public, else `name=***`, or `***` for what is no known name."""
    pattern = r"[&;]|_(?=[A-Za-z]+=)" if underscores else r"[&;]"
    shown: list[str] = []
    for pair in re.split(pattern, text):
        name, equals, value = pair.partition("=")
        if not pair or _is_public(name, value):
            shown.append(pair)
        elif equals and _SECRET_OPTION.fullmatch(name):
            shown.append(f"{name}={HIDDEN}")
        elif shown[-1:] != [HIDDEN]:
            shown.append(HIDDEN)
    return "&".join(shown)


def _is_public(name: str, value: str) -> bool:
    if _PUBLIC_OPTION.fullmatch(name):
        return _PLAIN_VALUE.fullmatch(value) is not None
    is_name = _NAME.fullmatch(name) is not None and _SECRET.search(name) is None
    return is_name and _SMALL_NUMBER.fullmatch(value) is not None
