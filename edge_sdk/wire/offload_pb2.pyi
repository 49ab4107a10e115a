from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class DescribeRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Description(_message.Message):
    __slots__ = ("model", "labels", "macs", "input_width", "input_height", "parameters", "reads_probabilities", "looks_twice", "version", "exits")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    MACS_FIELD_NUMBER: _ClassVar[int]
    INPUT_WIDTH_FIELD_NUMBER: _ClassVar[int]
    INPUT_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    READS_PROBABILITIES_FIELD_NUMBER: _ClassVar[int]
    LOOKS_TWICE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    EXITS_FIELD_NUMBER: _ClassVar[int]
    model: str
    labels: _containers.RepeatedScalarFieldContainer[str]
    macs: int
    input_width: int
    input_height: int
    parameters: int
    reads_probabilities: bool
    looks_twice: bool
    version: str
    exits: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, model: _Optional[str] = ..., labels: _Optional[_Iterable[str]] = ..., macs: _Optional[int] = ..., input_width: _Optional[int] = ..., input_height: _Optional[int] = ..., parameters: _Optional[int] = ..., reads_probabilities: bool = ..., looks_twice: bool = ..., version: _Optional[str] = ..., exits: _Optional[_Iterable[str]] = ...) -> None: ...

class ClassifyRequest(_message.Message):
    __slots__ = ("frame_id", "image", "probabilities", "event_id", "region", "wait_ms")
    FRAME_ID_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    PROBABILITIES_FIELD_NUMBER: _ClassVar[int]
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    REGION_FIELD_NUMBER: _ClassVar[int]
    WAIT_MS_FIELD_NUMBER: _ClassVar[int]
    frame_id: str
    image: bytes
    probabilities: _containers.RepeatedScalarFieldContainer[float]
    event_id: str
    region: Region
    wait_ms: int
    def __init__(self, frame_id: _Optional[str] = ..., image: _Optional[bytes] = ..., probabilities: _Optional[_Iterable[float]] = ..., event_id: _Optional[str] = ..., region: _Optional[_Union[Region, _Mapping]] = ..., wait_ms: _Optional[int] = ...) -> None: ...

class Region(_message.Message):
    __slots__ = ("x", "y", "width", "height")
    X_FIELD_NUMBER: _ClassVar[int]
    Y_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    x: int
    y: int
    width: int
    height: int
    def __init__(self, x: _Optional[int] = ..., y: _Optional[int] = ..., width: _Optional[int] = ..., height: _Optional[int] = ...) -> None: ...

class ClassifyReply(_message.Message):
    __slots__ = ("frame_id", "classification", "failure")
    FRAME_ID_FIELD_NUMBER: _ClassVar[int]
    CLASSIFICATION_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    frame_id: str
    classification: Classification
    failure: Failure
    def __init__(self, frame_id: _Optional[str] = ..., classification: _Optional[_Union[Classification, _Mapping]] = ..., failure: _Optional[_Union[Failure, _Mapping]] = ...) -> None: ...

class Classification(_message.Message):
    __slots__ = ("label", "confidence", "probabilities", "macs", "exit")
    LABEL_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    PROBABILITIES_FIELD_NUMBER: _ClassVar[int]
    MACS_FIELD_NUMBER: _ClassVar[int]
    EXIT_FIELD_NUMBER: _ClassVar[int]
    label: str
    confidence: float
    probabilities: _containers.RepeatedScalarFieldContainer[float]
    macs: int
    exit: int
    def __init__(self, label: _Optional[str] = ..., confidence: _Optional[float] = ..., probabilities: _Optional[_Iterable[float]] = ..., macs: _Optional[int] = ..., exit: _Optional[int] = ...) -> None: ...

class Failure(_message.Message):
    __slots__ = ("code", "message", "retryable")
    class Code(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        UNKNOWN: _ClassVar[Failure.Code]
        BAD_IMAGE: _ClassVar[Failure.Code]
        TOO_LARGE: _ClassVar[Failure.Code]
        BAD_REQUEST: _ClassVar[Failure.Code]
        OVERLOADED: _ClassVar[Failure.Code]
        DRAINING: _ClassVar[Failure.Code]
        INTERNAL: _ClassVar[Failure.Code]
    UNKNOWN: Failure.Code
    BAD_IMAGE: Failure.Code
    TOO_LARGE: Failure.Code
    BAD_REQUEST: Failure.Code
    OVERLOADED: Failure.Code
    DRAINING: Failure.Code
    INTERNAL: Failure.Code
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    RETRYABLE_FIELD_NUMBER: _ClassVar[int]
    code: Failure.Code
    message: str
    retryable: bool
    def __init__(self, code: _Optional[_Union[Failure.Code, str]] = ..., message: _Optional[str] = ..., retryable: bool = ...) -> None: ...

class ReportRequest(_message.Message):
    __slots__ = ("sent_ms", "word_list", "first_word", "words", "answers", "usage", "health", "events", "settings", "audits")
    SENT_MS_FIELD_NUMBER: _ClassVar[int]
    WORD_LIST_FIELD_NUMBER: _ClassVar[int]
    FIRST_WORD_FIELD_NUMBER: _ClassVar[int]
    WORDS_FIELD_NUMBER: _ClassVar[int]
    ANSWERS_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    HEALTH_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    AUDITS_FIELD_NUMBER: _ClassVar[int]
    sent_ms: int
    word_list: int
    first_word: int
    words: _containers.RepeatedScalarFieldContainer[str]
    answers: ReportedAnswers
    usage: ReportedUsage
    health: ReportedHealth
    events: ReportedEvents
    settings: HeldSettings
    audits: ReportedAudits
    def __init__(self, sent_ms: _Optional[int] = ..., word_list: _Optional[int] = ..., first_word: _Optional[int] = ..., words: _Optional[_Iterable[str]] = ..., answers: _Optional[_Union[ReportedAnswers, _Mapping]] = ..., usage: _Optional[_Union[ReportedUsage, _Mapping]] = ..., health: _Optional[_Union[ReportedHealth, _Mapping]] = ..., events: _Optional[_Union[ReportedEvents, _Mapping]] = ..., settings: _Optional[_Union[HeldSettings, _Mapping]] = ..., audits: _Optional[_Union[ReportedAudits, _Mapping]] = ...) -> None: ...

class ReportedAnswers(_message.Message):
    __slots__ = ("id_rest", "id_time", "captured", "utc_offset", "label", "confidence", "said", "device_label", "device_confidence", "source", "model", "event", "event_ids", "audited")
    ID_REST_FIELD_NUMBER: _ClassVar[int]
    ID_TIME_FIELD_NUMBER: _ClassVar[int]
    CAPTURED_FIELD_NUMBER: _ClassVar[int]
    UTC_OFFSET_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    SAID_FIELD_NUMBER: _ClassVar[int]
    DEVICE_LABEL_FIELD_NUMBER: _ClassVar[int]
    DEVICE_CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    EVENT_IDS_FIELD_NUMBER: _ClassVar[int]
    AUDITED_FIELD_NUMBER: _ClassVar[int]
    id_rest: bytes
    id_time: _containers.RepeatedScalarFieldContainer[int]
    captured: _containers.RepeatedScalarFieldContainer[int]
    utc_offset: _containers.RepeatedScalarFieldContainer[int]
    label: _containers.RepeatedScalarFieldContainer[int]
    confidence: bytes
    said: _containers.RepeatedScalarFieldContainer[int]
    device_label: _containers.RepeatedScalarFieldContainer[int]
    device_confidence: bytes
    source: _containers.RepeatedScalarFieldContainer[int]
    model: _containers.RepeatedScalarFieldContainer[int]
    event: _containers.RepeatedScalarFieldContainer[int]
    event_ids: bytes
    audited: AuditedAnswers
    def __init__(self, id_rest: _Optional[bytes] = ..., id_time: _Optional[_Iterable[int]] = ..., captured: _Optional[_Iterable[int]] = ..., utc_offset: _Optional[_Iterable[int]] = ..., label: _Optional[_Iterable[int]] = ..., confidence: _Optional[bytes] = ..., said: _Optional[_Iterable[int]] = ..., device_label: _Optional[_Iterable[int]] = ..., device_confidence: _Optional[bytes] = ..., source: _Optional[_Iterable[int]] = ..., model: _Optional[_Iterable[int]] = ..., event: _Optional[_Iterable[int]] = ..., event_ids: _Optional[bytes] = ..., audited: _Optional[_Union[AuditedAnswers, _Mapping]] = ...) -> None: ...

class ReportedEvents(_message.Message):
    __slots__ = ("event_ids", "began", "lasted", "utc_offset", "frames", "label", "confidence", "said", "source")
    EVENT_IDS_FIELD_NUMBER: _ClassVar[int]
    BEGAN_FIELD_NUMBER: _ClassVar[int]
    LASTED_FIELD_NUMBER: _ClassVar[int]
    UTC_OFFSET_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    SAID_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    event_ids: bytes
    began: _containers.RepeatedScalarFieldContainer[int]
    lasted: _containers.RepeatedScalarFieldContainer[int]
    utc_offset: _containers.RepeatedScalarFieldContainer[int]
    frames: _containers.RepeatedScalarFieldContainer[int]
    label: _containers.RepeatedScalarFieldContainer[int]
    confidence: bytes
    said: _containers.RepeatedScalarFieldContainer[int]
    source: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, event_ids: _Optional[bytes] = ..., began: _Optional[_Iterable[int]] = ..., lasted: _Optional[_Iterable[int]] = ..., utc_offset: _Optional[_Iterable[int]] = ..., frames: _Optional[_Iterable[int]] = ..., label: _Optional[_Iterable[int]] = ..., confidence: _Optional[bytes] = ..., said: _Optional[_Iterable[int]] = ..., source: _Optional[_Iterable[int]] = ...) -> None: ...

class ReportedAudits(_message.Message):
    __slots__ = ("model", "chance", "is_event", "exits", "drawn", "answered", "waiting", "differ", "labelled", "wrong", "open", "lost", "won")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    CHANCE_FIELD_NUMBER: _ClassVar[int]
    IS_EVENT_FIELD_NUMBER: _ClassVar[int]
    EXITS_FIELD_NUMBER: _ClassVar[int]
    DRAWN_FIELD_NUMBER: _ClassVar[int]
    ANSWERED_FIELD_NUMBER: _ClassVar[int]
    WAITING_FIELD_NUMBER: _ClassVar[int]
    DIFFER_FIELD_NUMBER: _ClassVar[int]
    LABELLED_FIELD_NUMBER: _ClassVar[int]
    WRONG_FIELD_NUMBER: _ClassVar[int]
    OPEN_FIELD_NUMBER: _ClassVar[int]
    LOST_FIELD_NUMBER: _ClassVar[int]
    WON_FIELD_NUMBER: _ClassVar[int]
    model: int
    chance: _containers.RepeatedScalarFieldContainer[float]
    is_event: _containers.RepeatedScalarFieldContainer[int]
    exits: _containers.RepeatedScalarFieldContainer[int]
    drawn: _containers.RepeatedScalarFieldContainer[int]
    answered: _containers.RepeatedScalarFieldContainer[int]
    waiting: _containers.RepeatedScalarFieldContainer[int]
    differ: _containers.RepeatedScalarFieldContainer[int]
    labelled: _containers.RepeatedScalarFieldContainer[int]
    wrong: _containers.RepeatedScalarFieldContainer[int]
    open: _containers.RepeatedScalarFieldContainer[int]
    lost: _containers.RepeatedScalarFieldContainer[int]
    won: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, model: _Optional[int] = ..., chance: _Optional[_Iterable[float]] = ..., is_event: _Optional[_Iterable[int]] = ..., exits: _Optional[_Iterable[int]] = ..., drawn: _Optional[_Iterable[int]] = ..., answered: _Optional[_Iterable[int]] = ..., waiting: _Optional[_Iterable[int]] = ..., differ: _Optional[_Iterable[int]] = ..., labelled: _Optional[_Iterable[int]] = ..., wrong: _Optional[_Iterable[int]] = ..., open: _Optional[_Iterable[int]] = ..., lost: _Optional[_Iterable[int]] = ..., won: _Optional[_Iterable[int]] = ...) -> None: ...

class AuditedAnswers(_message.Message):
    __slots__ = ("chance", "is_event", "device_class", "cloud_class")
    CHANCE_FIELD_NUMBER: _ClassVar[int]
    IS_EVENT_FIELD_NUMBER: _ClassVar[int]
    DEVICE_CLASS_FIELD_NUMBER: _ClassVar[int]
    CLOUD_CLASS_FIELD_NUMBER: _ClassVar[int]
    chance: _containers.RepeatedScalarFieldContainer[float]
    is_event: _containers.RepeatedScalarFieldContainer[int]
    device_class: _containers.RepeatedScalarFieldContainer[int]
    cloud_class: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, chance: _Optional[_Iterable[float]] = ..., is_event: _Optional[_Iterable[int]] = ..., device_class: _Optional[_Iterable[int]] = ..., cloud_class: _Optional[_Iterable[int]] = ...) -> None: ...

class ReportedUsage(_message.Message):
    __slots__ = ("frames", "exits", "offloads", "answers_cloud", "skipped_compute", "bytes_sent", "bytes_received", "macs_little", "macs_big", "waiting", "events", "events_offloaded", "budgets")
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    EXITS_FIELD_NUMBER: _ClassVar[int]
    OFFLOADS_FIELD_NUMBER: _ClassVar[int]
    ANSWERS_CLOUD_FIELD_NUMBER: _ClassVar[int]
    SKIPPED_COMPUTE_FIELD_NUMBER: _ClassVar[int]
    BYTES_SENT_FIELD_NUMBER: _ClassVar[int]
    BYTES_RECEIVED_FIELD_NUMBER: _ClassVar[int]
    MACS_LITTLE_FIELD_NUMBER: _ClassVar[int]
    MACS_BIG_FIELD_NUMBER: _ClassVar[int]
    WAITING_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    EVENTS_OFFLOADED_FIELD_NUMBER: _ClassVar[int]
    BUDGETS_FIELD_NUMBER: _ClassVar[int]
    frames: int
    exits: int
    offloads: int
    answers_cloud: int
    skipped_compute: int
    bytes_sent: int
    bytes_received: int
    macs_little: int
    macs_big: int
    waiting: int
    events: int
    events_offloaded: int
    budgets: _containers.RepeatedCompositeFieldContainer[ReportedBudget]
    def __init__(self, frames: _Optional[int] = ..., exits: _Optional[int] = ..., offloads: _Optional[int] = ..., answers_cloud: _Optional[int] = ..., skipped_compute: _Optional[int] = ..., bytes_sent: _Optional[int] = ..., bytes_received: _Optional[int] = ..., macs_little: _Optional[int] = ..., macs_big: _Optional[int] = ..., waiting: _Optional[int] = ..., events: _Optional[int] = ..., events_offloaded: _Optional[int] = ..., budgets: _Optional[_Iterable[_Union[ReportedBudget, _Mapping]]] = ...) -> None: ...

class ReportedBudget(_message.Message):
    __slots__ = ("limit", "spent", "period_s")
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    SPENT_FIELD_NUMBER: _ClassVar[int]
    PERIOD_S_FIELD_NUMBER: _ClassVar[int]
    limit: int
    spent: int
    period_s: int
    def __init__(self, limit: _Optional[int] = ..., spent: _Optional[int] = ..., period_s: _Optional[int] = ...) -> None: ...

class ReportedHealth(_message.Message):
    __slots__ = ("sdk", "python", "bundle", "celsius", "throttled", "disk_free", "clock_unset", "own_names", "own_values")
    SDK_FIELD_NUMBER: _ClassVar[int]
    PYTHON_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_FIELD_NUMBER: _ClassVar[int]
    CELSIUS_FIELD_NUMBER: _ClassVar[int]
    THROTTLED_FIELD_NUMBER: _ClassVar[int]
    DISK_FREE_FIELD_NUMBER: _ClassVar[int]
    CLOCK_UNSET_FIELD_NUMBER: _ClassVar[int]
    OWN_NAMES_FIELD_NUMBER: _ClassVar[int]
    OWN_VALUES_FIELD_NUMBER: _ClassVar[int]
    sdk: int
    python: int
    bundle: int
    celsius: int
    throttled: int
    disk_free: int
    clock_unset: bool
    own_names: _containers.RepeatedScalarFieldContainer[int]
    own_values: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, sdk: _Optional[int] = ..., python: _Optional[int] = ..., bundle: _Optional[int] = ..., celsius: _Optional[int] = ..., throttled: _Optional[int] = ..., disk_free: _Optional[int] = ..., clock_unset: bool = ..., own_names: _Optional[_Iterable[int]] = ..., own_values: _Optional[_Iterable[float]] = ...) -> None: ...

class HeldSettings(_message.Message):
    __slots__ = ("takes", "version", "refused", "reason")
    TAKES_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    takes: bool
    version: int
    refused: _containers.RepeatedScalarFieldContainer[str]
    reason: str
    def __init__(self, takes: bool = ..., version: _Optional[int] = ..., refused: _Optional[_Iterable[str]] = ..., reason: _Optional[str] = ...) -> None: ...

class ReportReply(_message.Message):
    __slots__ = ("taken", "words_known", "settings")
    TAKEN_FIELD_NUMBER: _ClassVar[int]
    WORDS_KNOWN_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    taken: bool
    words_known: int
    settings: bytes
    def __init__(self, taken: bool = ..., words_known: _Optional[int] = ..., settings: _Optional[bytes] = ...) -> None: ...
