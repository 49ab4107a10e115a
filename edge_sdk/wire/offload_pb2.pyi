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
    __slots__ = ("model", "labels", "macs", "input_width", "input_height", "parameters", "reads_probabilities")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    MACS_FIELD_NUMBER: _ClassVar[int]
    INPUT_WIDTH_FIELD_NUMBER: _ClassVar[int]
    INPUT_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    READS_PROBABILITIES_FIELD_NUMBER: _ClassVar[int]
    model: str
    labels: _containers.RepeatedScalarFieldContainer[str]
    macs: int
    input_width: int
    input_height: int
    parameters: int
    reads_probabilities: bool
    def __init__(self, model: _Optional[str] = ..., labels: _Optional[_Iterable[str]] = ..., macs: _Optional[int] = ..., input_width: _Optional[int] = ..., input_height: _Optional[int] = ..., parameters: _Optional[int] = ..., reads_probabilities: bool = ...) -> None: ...

class ClassifyRequest(_message.Message):
    __slots__ = ("frame_id", "image", "probabilities", "event_id", "region")
    FRAME_ID_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    PROBABILITIES_FIELD_NUMBER: _ClassVar[int]
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    REGION_FIELD_NUMBER: _ClassVar[int]
    frame_id: str
    image: bytes
    probabilities: _containers.RepeatedScalarFieldContainer[float]
    event_id: str
    region: Region
    def __init__(self, frame_id: _Optional[str] = ..., image: _Optional[bytes] = ..., probabilities: _Optional[_Iterable[float]] = ..., event_id: _Optional[str] = ..., region: _Optional[_Union[Region, _Mapping]] = ...) -> None: ...

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
    __slots__ = ("label", "confidence", "probabilities", "macs")
    LABEL_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    PROBABILITIES_FIELD_NUMBER: _ClassVar[int]
    MACS_FIELD_NUMBER: _ClassVar[int]
    label: str
    confidence: float
    probabilities: _containers.RepeatedScalarFieldContainer[float]
    macs: int
    def __init__(self, label: _Optional[str] = ..., confidence: _Optional[float] = ..., probabilities: _Optional[_Iterable[float]] = ..., macs: _Optional[int] = ...) -> None: ...

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
