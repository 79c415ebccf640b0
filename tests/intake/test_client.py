from __future__ import annotations

from monitor.intake.client import Listener, refusal


def test_callbacks_never_raise():
    """Every callback keeps what goes wrong for later, even when counting it goes wrong too."""

    def broken(*_):
        raise RuntimeError("no")

    listener = Listener(count=broken, oauth=broken, statistics=broken)
    listener.on_statistics("{}")
    assert str(listener.failure()) == "no"
    assert listener.failure() is None
    assert listener.on_oauth("") == ("", 0.0)
    listener.log(4, "%s [%s] %d", "a", "b")  # too few arguments for the format
    assert isinstance(listener.failure(), RuntimeError)


def test_a_token_that_was_refused_is_the_reason_that_is_given():
    """The library itself says nothing then."""
    listener = Listener()
    listener.guard(int, "x")
    assert refusal(SystemError("returned NULL"), listener).startswith("sasl.oauthbearer - invalid literal")
    assert refusal(ValueError("bad value"), listener) == "kafka - bad value"
