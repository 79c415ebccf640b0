from __future__ import annotations

import gc

from monitor.clock import ManualClock
from monitor.intake import rotation
from monitor.intake.client import Listener
from monitor.intake.rotation import LOOK_EVERY, Rotation, connect


class Client:
    """Knows how it was made and what it was told since."""

    def __init__(self, properties):
        self.properties = properties
        self.told = []

    def set_sasl_credentials(self, user, password):
        self.told.append((user, password))


class Files:
    """What the configuration gives, secrets among it."""

    def __init__(self, password, user="u"):
        self.password, self.user, self.is_absent = password, user, False

    def __call__(self):
        if self.is_absent:
            raise FileNotFoundError(2, "No such file", "/run/secrets/kafka")
        return {"sasl.username": self.user, "sasl.password": self.password}


def opened(files):
    listener = Listener()
    return connect(Client, files(), listener), listener


def turn(clock, one, *listeners):
    """A look at the files, and a turn of every client's own thread."""
    clock.advance(LOOK_EVERY)
    one.tick()
    for listener in listeners:
        listener.renew()


def test_clients_learn_of_a_new_password_and_new_ones_begin_with_it():
    """Those of the same login, and no others; those that are closed do no harm."""
    clock, files, other = ManualClock(), Files("first-1"), Files("another-1")
    one = Rotation(files, clock)
    before = files()
    client, kept = opened(files)
    stranger, kept_too = opened(other)
    turn(clock, one, kept, kept_too)
    assert client.told == []
    files.password = "second-1"
    turn(clock, one, kept, kept_too)
    kept.renew()
    assert (client.told, stranger.told) == ([("u", "second-1")], [])
    assert connect(Client, before, Listener()).properties["sasl.password"] == "second-1"
    files.password = "first-1"
    turn(clock, one, kept)
    assert client.told[1:] == [("u", "first-1")]
    assert connect(Client, before, Listener()).properties["sasl.password"] == "first-1"


def test_a_file_that_is_away_changes_nothing_and_is_looked_at_again():
    """It may be on its way."""
    clock, files = ManualClock(), Files("first-2")
    one = Rotation(files, clock)
    client, kept = opened(files)
    files.is_absent = True
    turn(clock, one)
    files.is_absent, files.password = False, "second-2"
    one.tick()
    kept.renew()
    assert client.told == []  # not looked at all the time
    turn(clock, one, kept)
    assert client.told == [("u", "second-2")]


def test_clients_are_not_kept_for_it():
    """Who is collected is told nothing; who has no password is not listed at all."""
    files = Files("first-3")
    client, listener = opened(files)
    plain = Listener()
    assert connect(Client, {}, plain).properties.keys() == {"error_cb", "logger"}
    assert plain.client is None
    del client, listener
    gc.collect()
    assert not [one for one in rotation._CLIENTS._listeners if one.login == ("u", "first-3")]
