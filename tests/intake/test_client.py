from __future__ import annotations

from monitor.intake.client import Listener


def test_callbacks_never_raise():
    """Every callback keeps what goes wrong for later, even when counting it goes wrong too."""

    def broken(*_):
        raise RuntimeError("no")

    listener = Listener(count=broken, statistics=broken)
    listener.on_statistics("{}")
    assert str(listener.failure()) == "no"
    assert listener.failure() is None
    listener.log(4, "%s [%s] %d", "a", "b")  # too few arguments for the format
    assert isinstance(listener.failure(), TypeError)
