"""Errors to and from the generated variant."""

from typing import Any

from . import _host, errors

_types = _host.lazily(lambda: _host.imported("types"))


def to_wit(error: errors.Error) -> Exception:
    """What a generated export raises for it."""
    types = _types()
    match error:
        case errors.NotFound():
            value: Any = types.Error_NotFound()
        case errors.Denied():
            value = types.Error_Denied(str(error))
        case errors.Unavailable():
            value = types.Error_Unavailable(types.Outage(max(0, round(error.retry_after * 1000)), str(error)))
        case errors.Conflict():
            value = types.Error_Conflict(str(error))
        case errors.Invalid():
            value = types.Error_Invalid(str(error))
        case errors.Timeout():
            value = types.Error_Timeout()
        case _:
            value = types.Error_Other(str(error))
    return _host.failure(value)


def from_wit(value: Any) -> errors.Error:
    """What a generated import answered."""
    types = _types()
    match value:
        case types.Error_NotFound():
            return errors.NotFound()
        case types.Error_Denied(value=reason):
            return errors.Denied(reason)
        case types.Error_Unavailable(value=outage):
            return errors.Unavailable(outage.reason, outage.retry_after_ms / 1000)
        case types.Error_Conflict(value=reason):
            return errors.Conflict(reason)
        case types.Error_Invalid(value=reason):
            return errors.Invalid(reason)
        case types.Error_Timeout():
            return errors.Timeout()
        case _:
            return errors.Other(str(getattr(value, "value", value)))
