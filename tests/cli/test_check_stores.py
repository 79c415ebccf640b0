"""What `driftline check` asks of feature servers."""

from __future__ import annotations

from monitor.cli.check_line import Sign
from monitor.cli.check_network import check_stores
from monitor.config.plans import build_plans
from monitor.deliver.receiver import Receiver
from tests.config.cases import settings_of
from tests.config.test_stored import text
from tests.consistency.peer import FeatureServer


def line(url, *, store="", wanted="driver_stats:conv_rate"):
    """What is said of the store of the only model."""
    reach = f'insecure_http: true\nallow_private: ["127.0.0.1/32"]\ntimeout: 2s\n{store}'
    written = text(store=reach).replace("https://feast.example/", url).replace("stats:conv_rate", wanted)
    (found,) = check_stores(build_plans(settings_of(written), {}))
    assert found.subject == "feature store of m"
    return found


def test_a_server_is_asked_for_what_will_be_compared(tmp_path):
    """With its own words where it refuses: they are about an entity that we made up. A token is sent, and not shown."""
    with Receiver() as receiver:
        FeatureServer(receiver, ("conv_rate",))
        found = line(receiver.url, store="token: t0ken")
        assert (found.sign, found.text) == (Sign.OK, "serves 1 features by driver_id")
        assert receiver.requests[-1].json()["entities"] == {"driver_id": ["0"]}
        assert receiver.requests[-1].headers["authorization"] == "Bearer t0ken"
        found = line(receiver.url, wanted="driver_stats:nope")
        assert found.sign is Sign.WRONG
        assert found.text.endswith("'Feature nope not found in projection driver_stats'")
        found = line(receiver.url, wanted="stat:conv_rate")
        assert found.text.endswith("Feature view stat does not exist in project rides")
        found = line(receiver.url, store=f"token_file: {tmp_path / 'nothing'}")
        assert found.text == "a secret cannot be read: No such file or directory"
        url = receiver.url
    assert "no answer" in line(url).text


def test_what_is_no_feature_server_is_told():
    """It answers, and not as one does."""
    with Receiver() as receiver:
        found = line(receiver.url)
    assert found.sign is Sign.WRONG
    assert "a Feast feature server" in found.text
