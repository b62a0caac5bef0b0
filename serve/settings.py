"""The environment variables that `serve` reads: the one table, typed, with default, meaning and validation.

`docs/environment.md` is generated from it (`make docs`).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar, get_args

from serve import sagemaker

__all__ = [
    "Frontend",
    "InferenceType",
    "PingMode",
    "PortRange",
    "Settings",
    "SettingsError",
    "TensorFlowVersion",
    "Variable",
    "variables",
]

T = TypeVar("T")

Frontend = Literal["gateway", "native"]
InferenceType = Literal["infer", "generate", "generate_stream"]
PingMode = Literal["ready", "live"]
TensorFlowVersion = Literal["1", "2"]


class SettingsError(ValueError):
    """An environment variable has a value that `serve` can't use. The message is one line."""


@dataclass(frozen=True)
class PortRange:
    """An inclusive range of TCP ports."""

    first: int
    last: int

    def __contains__(self, port: object) -> bool:
        """Tell whether a port lies in the range."""
        return isinstance(port, int) and self.first <= port <= self.last

    def __iter__(self) -> Iterator[int]:
        """Yield the ports in ascending order."""
        return iter(range(self.first, self.last + 1))

    def __str__(self) -> str:
        """Return the range as SageMaker writes it."""
        return f"{self.first}-{self.last}"


@dataclass(frozen=True)
class Kind(Generic[T]):
    """How a value is parsed, and what is accepted, as it reads after “expected”."""

    accepted: str
    parse: Callable[[str], T]


@dataclass(frozen=True)
class Variable:
    """A row of the table."""

    name: str
    kind: Kind[Any]
    meaning: str
    note: str = ""
    shown_default: str = ""


def _boolean(text: str) -> bool:
    return {"true": True, "1": True, "false": False, "0": False}[text.lower()]


def _integer(low: int, high: int | None = None) -> Kind[int]:
    def parse(text: str) -> int:
        if not re.fullmatch("[0-9]{1,18}", text):  # int() takes 8_080 and digits of other scripts as well
            raise ValueError(text)
        value = int(text)
        if value < low or (high is not None and value > high):
            raise ValueError(text)
        return value

    return Kind(f"a whole number from {low} to {high}" if high is not None else f"a whole number, {low} or more", parse)


def _log_level(text: str) -> int:
    if text.lower() in ("true", "false"):
        return int(_boolean(text))
    return _integer(0).parse(text)


def _fraction(text: str) -> float:
    value = float(text)
    if not 0 < value <= 1:
        raise ValueError(text)
    return value


def _port_range(text: str) -> PortRange:
    match = re.fullmatch("([0-9]{1,5})-([0-9]{1,5})", text)
    if not match:
        raise ValueError(text)
    first, last = int(match[1]), int(match[2])
    if not 1 <= first <= last <= 65535:
        raise ValueError(text)
    return PortRange(first, last)


def _model_name(text: str) -> str:
    if "/" in text or text in ("", ".", "..") or text != text.strip():
        raise ValueError(text)
    return text


def _choice(literal: Any) -> Kind[str]:
    """Accept the values of a `Literal`."""
    names: tuple[str, ...] = get_args(literal)

    def parse(text: str) -> str:
        if text not in names:
            raise ValueError(text)
        return text

    return Kind(f"one of {', '.join(names)}", parse)


BOOLEAN = Kind("true or false", _boolean)
PORT = _integer(1, 65535)
COUNT = _integer(1)
BYTES = _integer(1024 * 1024)
MODEL = Kind("the name of a model directory", _model_name)


def _variable(name: str, kind: Kind[Any], default: Any, meaning: str, note: str = "", shown_default: str = "") -> Any:
    return field(default=default, metadata={"variable": Variable(name, kind, meaning, note, shown_default)})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The values of the table. An empty variable counts as not set. Only `ADDITIONAL_ARGS` is split into words."""

    bind_to_port: int = _variable("SAGEMAKER_BIND_TO_PORT", PORT, sagemaker.PORT, "The port that SageMaker calls.")
    safe_port_range: PortRange | None = _variable(
        "SAGEMAKER_SAFE_PORT_RANGE",
        Kind("two ports as FIRST-LAST, for example 21000-21999", _port_range),
        None,
        "The ports that the container may open besides the SageMaker port. If set, all inner ports are taken from it.",
        shown_default="any free port",
    )
    multi_model: bool = _variable(
        "SAGEMAKER_MULTI_MODEL", BOOLEAN, False, "Serve many models, which SageMaker loads and unloads."
    )
    base_dir: Path = _variable(
        "SAGEMAKER_BASE_DIR",
        Kind("a directory", Path),
        Path(sagemaker.OPT_ML),
        "Where SageMaker puts models (`model/`, `models/`). Set it to run without root or Docker.",
        note="ours",
    )
    install_dir: Path = _variable(
        "SAGEMAKER_TRITON_INSTALL_DIR",
        Kind("a directory that holds bin/tritonserver", Path),
        Path("/opt/tritonserver"),
        "Where tritonserver is installed (`bin/`, `lib/`, `backends/`).",
        note="ours",
    )
    shared_models_dir: Path = _variable(
        "SAGEMAKER_TRITON_SHARED_MODELS_DIR",
        Kind("a directory", Path),
        Path("/opt/model_repository"),
        "Models that all tenants of a multi-model endpoint (`gateway`) can use as ensemble steps. May be missing.",
        note="ours",
    )
    frontend: Frontend = _variable(
        "SAGEMAKER_TRITON_FRONTEND",
        _choice(Frontend),
        "gateway",
        "What answers SageMaker. `gateway`: HAProxy and the app. `native`: Triton's own SageMaker port.",
        note="ours",
    )
    default_model_name: str | None = _variable(
        "SAGEMAKER_TRITON_DEFAULT_MODEL_NAME",
        MODEL,
        None,
        "The model that `/invocations` runs. Required if the model directory holds several. Single-model only.",
        shown_default="the only model",
    )
    load_models: tuple[str, ...] = _variable(
        "SAGEMAKER_TRITON_LOAD_MODELS",
        Kind("model names, separated by commas", lambda text: tuple(_model_name(n.strip()) for n in text.split(","))),
        (),
        "Models to load at startup besides the default model and those that it calls (its ensemble steps, and its "
        "parameter `sagemaker.depends_on`), which are always loaded. Name the models that a Python model calls from "
        "its code (business logic scripting) and doesn't list in `sagemaker.depends_on`. Single-model only.",
        note="ours",
    )
    inference_type: InferenceType = _variable(
        "SAGEMAKER_TRITON_INFERENCE_TYPE",
        _choice(InferenceType),
        "infer",
        "The Triton endpoint behind `/invocations`. `Accept: text/event-stream` always selects `generate_stream`.",
    )
    override_ping_mode: PingMode | None = _variable(
        "SAGEMAKER_TRITON_OVERRIDE_PING_MODE",
        _choice(PingMode),
        None,
        "When `/ping` is 200. `ready`: the default model and all it uses are ready. `live`: tritonserver is alive.",
        note="stock: chooses `live` for multi-model endpoints but never exports it, so it has no effect",
        shown_default="`ready`; `live` on multi-model endpoints",
    )
    allow_http: bool = _variable(
        "SAGEMAKER_TRITON_ALLOW_HTTP",
        BOOLEAN,
        False,
        "Also expose Triton's HTTP port outside the container.",
        note="stock: ignored",
    )
    http_port: int | None = _variable(
        "SAGEMAKER_TRITON_HTTP_PORT",
        PORT,
        None,
        "Triton's HTTP port. If it is neither set nor exposed, the gateway reaches Triton over a Unix socket.",
        "stock: ignored",
        "8000 if exposed",
    )
    allow_grpc: bool = _variable(
        "SAGEMAKER_TRITON_ALLOW_GRPC", BOOLEAN, False, "Also expose Triton's gRPC port outside the container."
    )
    grpc_port: int | None = _variable(
        "SAGEMAKER_TRITON_GRPC_PORT",
        PORT,
        None,
        "Triton's gRPC port, if it is exposed or the gateway needs it (multi-model endpoints).",
        shown_default="8001 if exposed",
    )
    allow_metrics: bool = _variable(
        "SAGEMAKER_TRITON_ALLOW_METRICS",
        BOOLEAN,
        False,
        "Also expose Triton's metrics port outside the container. `/metrics` on the SageMaker port works without it.",
    )
    metrics_port: int | None = _variable(
        "SAGEMAKER_TRITON_METRICS_PORT",
        PORT,
        None,
        "Triton's metrics port, if it is exposed or the gateway needs it.",
        shown_default="8002 if exposed",
    )
    thread_count: int | None = _variable(
        "SAGEMAKER_TRITON_THREAD_COUNT",
        COUNT,
        None,
        "Threads of Triton's HTTP front end (`native`: of its SageMaker front end).",
        shown_default="one per processor, from 2 to 8; `native`: 8",
    )
    buffer_manager_thread_count: int | None = _variable(
        "SAGEMAKER_TRITON_BUFFER_MANAGER_THREAD_COUNT",
        _integer(0),
        None,
        "Threads that copy tensors.",
        shown_default="Triton's default",
    )
    log_verbose: int = _variable(
        "SAGEMAKER_TRITON_LOG_VERBOSE",
        Kind("true, false or a level, 0 or more", _log_level),
        0,
        "Triton's verbose log.",
        note="stock: on; writes lines for every ping",
        shown_default="`false`",
    )
    log_info: bool = _variable(
        "SAGEMAKER_TRITON_LOG_INFO", BOOLEAN, False, "Triton's info log.", note="stock: Triton's default, on"
    )
    log_warning: bool = _variable("SAGEMAKER_TRITON_LOG_WARNING", BOOLEAN, True, "Triton's warnings.")
    log_error: bool = _variable("SAGEMAKER_TRITON_LOG_ERROR", BOOLEAN, True, "Triton's errors.")
    shm_default_byte_size: int = _variable(
        "SAGEMAKER_TRITON_SHM_DEFAULT_BYTE_SIZE",
        BYTES,
        1024 * 1024,
        "Bytes of /dev/shm that each process of a Python model starts with. SageMaker gives a container 64 MB. If the "
        "processes don't fit, `serve` doesn't start, and a multi-model endpoint doesn't load the model.",
        note="stock: 16777216, so four instances fill /dev/shm",
    )
    shm_growth_byte_size: int = _variable(
        "SAGEMAKER_TRITON_SHM_GROWTH_BYTE_SIZE", BYTES, 1024 * 1024, "Bytes by which it grows."
    )
    tensorflow_version: TensorFlowVersion | None = _variable(
        "SAGEMAKER_TRITON_TENSORFLOW_VERSION",
        _choice(TensorFlowVersion),
        None,
        "Version that the TensorFlow backend loads.",
        shown_default="the backend's default",
    )
    model_load_gpu_limit: float | None = _variable(
        "SAGEMAKER_TRITON_MODEL_LOAD_GPU_LIMIT",
        Kind("a fraction greater than 0, at most 1", _fraction),
        None,
        "Fraction of each GPU's memory above which no more models are loaded.",
        shown_default="none",
    )
    disable_model_namespacing: bool = _variable(
        "SAGEMAKER_TRITON_DISABLE_MODEL_NAMESPACING",
        BOOLEAN,
        False,
        "Turn off Triton's model namespacing. It is always off on multi-model endpoints (`gateway`).",
        note="stock: `true` turns it on (the value is passed to --model-namespacing)",
    )
    additional_args: tuple[str, ...] = _variable(
        "SAGEMAKER_TRITON_ADDITIONAL_ARGS",
        Kind("arguments, quoted as in a shell", lambda text: tuple(shlex.split(text))),
        (),
        "More arguments for tritonserver, split like a shell command line. Arguments that `serve` sets from other "
        "variables, such as `--http-port`, are refused.",
    )

    @property
    def ping_mode(self) -> PingMode:
        """Return what `/ping` waits for: `ready` or `live`."""
        return self.override_ping_mode or ("live" if self.multi_model else "ready")

    @property
    def inner_ports(self) -> PortRange:
        """Return the ports that may be opened besides the SageMaker port."""
        return self.safe_port_range or PortRange(*sagemaker.DEFAULT_SAFE_PORTS)

    @property
    def tritonserver(self) -> Path:
        """Return the path of the tritonserver program."""
        return self.install_dir / "bin" / "tritonserver"

    def is_default(self, name: str) -> bool:
        """Tell whether a field has the value that it has where its variable is not set."""
        defaults = {field.name: field.default for field in fields(self)}
        return bool(getattr(self, name) == defaults[name])

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Read the variables.

        Raises:
            SettingsError: a value is not accepted; one line that names variable, value and what is accepted.
        """
        values: dict[str, Any] = {}
        for name, variable in variables().items():
            text = environment.get(variable.name, "").strip()
            if text:
                values[name] = _read(variable, text)
        settings = cls(**values)
        _check_ports(settings)
        return settings


def variables() -> dict[str, Variable]:
    """Return the table: field name → variable."""
    return {entry.name: entry.metadata["variable"] for entry in fields(Settings)}


def _read(variable: Variable, text: str) -> Any:
    try:
        return variable.kind.parse(text)
    except (ValueError, KeyError):
        raise SettingsError(f"{variable.name}={text!r}: expected {variable.kind.accepted}") from None


def _check_ports(settings: Settings) -> None:
    table = variables()
    taken = {settings.bind_to_port: table["bind_to_port"].name}
    for name in ("http_port", "grpc_port", "metrics_port"):
        port = getattr(settings, name)
        if port is None:
            continue
        if port in taken:
            raise SettingsError(f"{table[name].name}='{port}': {taken[port]} has the same port, expected another one")
        if settings.safe_port_range and port not in settings.safe_port_range:
            allowed = settings.safe_port_range
            raise SettingsError(
                f"{table[name].name}='{port}': expected a port of SAGEMAKER_SAFE_PORT_RANGE ({allowed})"
            )
        taken[port] = table[name].name
