"""What the admin API takes and gives, as JSON. Times are milliseconds since 1970 (UTC)."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from cloud_server.fleet.database.labels import LONGEST
from cloud_server.fleet.database.users import LONGEST as LONGEST_PASSWORD
from cloud_server.fleet.database.users import SHORTEST, Role

DeviceName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Since = Annotated[int | None, Field(ge=0, le=1 << 62)]
"""`changed_ms` of what a change goes out from: it is refused if that was changed since. None: whatever holds."""
PAGE, MOST = 100, 1000
"""Rows that one request gets, and the most that it may ask for."""


class Form(BaseModel):
    """One of them; fields that are not known are refused."""

    model_config = ConfigDict(extra="forbid", from_attributes=True)


class Problem(Form):
    """Why a request was refused (RFC 9457)."""

    title: str
    status: int
    detail: str


class CardForm(Form):
    """Where a device stands, its group and a note."""

    latitude: float | None = Field(default=None, ge=-90, le=90)
    longitude: float | None = Field(default=None, ge=-180, le=180)
    group: str = Field(default="", pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]{0,63})?$")
    note: str = Field(default="", max_length=500)


class CardChange(CardForm):
    """A card, in place of the one before."""

    since_ms: Since = None


class CardReply(CardForm):
    """A card, and who wrote it; `reported` is false of a device whose reports are still to come, or a wrong name."""

    device: str
    reported: bool
    changed_by: str
    changed_ms: int


class ShareReply(Form):
    """A share of the exits: the estimate, and an interval of 95% that holds at all times together."""

    share: float
    low: float
    high: float
    frames: int


class AuditsReply(Form):
    """What audits say of a device's exits: on how many the cloud agrees, and people's labels say that it is right."""

    model: str
    exits: int
    audits: int
    answered: int
    agree: ShareReply | None
    labelled: int
    right: ShareReply | None


class DeviceReply(Form):
    """A device, by its latest report."""

    device: str
    first_ms: int
    last_ms: int
    frames: int
    exits: int
    exit_ratio: float | None
    offloads: int
    bytes_sent: int
    bytes_received: int
    waiting: int
    answers: int
    sdk: str
    bundle: str
    celsius: float | None
    throttled: int | None
    disk_free: int | None
    clock_unset: bool
    measures: dict[str, float]
    settings_version: int
    audits: AuditsReply | None
    card: CardReply | None


class AnswerReply(Form):
    """A final answer; `number` rises with each report that comes, and is where to go on from."""

    number: int
    device: str
    frame_id: str
    event_id: str
    captured_ms: int
    utc_offset_min: int
    source: str
    model: str
    label: str | None
    confidence: float
    origin: str
    reason: str
    device_label: str | None
    device_confidence: float
    audit: bool
    person_label: str | None


class EventReply(Form):
    """A visit that has ended; `number` as of answers."""

    number: int
    device: str
    event_id: str
    began_ms: int
    ended_ms: int
    utc_offset_min: int
    source: str
    frames: int
    label: str | None
    confidence: float
    origin: str
    reason: str
    audit: bool


class LabelForm(Form):
    """What a person says that a frame shows; null takes back what was said."""

    label: str | None = Field(max_length=LONGEST, min_length=1)


class LabelReply(Form):
    """A person's word."""

    device: str
    frame_id: str
    label: str | None
    made_by: str
    made_ms: int


class SettingsForm(Form):
    """Settings by kind, in place of all that the target had: threshold, budget, private, audit, archive."""

    settings: dict[str, Any]
    since_ms: Since = None


class SettingsReply(Form):
    """What is wanted of a target by its own name, and who wanted it; empty at 0 where nobody did."""

    settings: dict[str, Any]
    changed_by: str
    changed_ms: int


class ChangeReply(Form):
    """A change of settings."""

    target: str
    settings: dict[str, Any]
    changed_by: str
    changed_ms: int


class TokenForm(Form):
    """A device that is to get a token."""

    device: DeviceName
    replace: bool = False


class TokenReply(Form):
    """A token, without its secret."""

    device: str
    issued_by: str
    issued_ms: int
    revoked_by: str | None
    revoked_ms: int | None


class NewToken(Form):
    """A token; it is shown this once."""

    device: str
    token: str


class UserForm(Form):
    """A new user; without a password only a key or a proxy lets it in."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}$")
    role: Role
    password: str | None = Field(default=None, min_length=SHORTEST, max_length=LONGEST_PASSWORD)


class UserChange(Form):
    """What is to change of a user."""

    role: Role | None = None
    password: str | None = Field(default=None, min_length=SHORTEST, max_length=LONGEST_PASSWORD)


class UserReply(Form):
    """A user."""

    name: str
    role: Role
    has_password: bool
    made_by: str
    made_ms: int


class KeyForm(Form):
    """A key for a program that acts as a user."""

    user: str = Field(min_length=1, max_length=64)
    note: str = Field(default="", max_length=200)


class NewKey(Form):
    """A key; it is shown this once."""

    user: str
    key: str


class KeyReply(Form):
    """A key, without its secret."""

    key_id: str
    user: str
    note: str
    made_ms: int


class HealthReply(Form):
    """Whether the server answers."""

    serving: bool
    database: str
