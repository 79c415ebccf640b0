"""Passwords that change, certificates that expire, tokens that run out: row 52; and what is told of tokens that are not
to be had: row 39."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from confluent_kafka import KafkaError
from confluent_kafka.admin import (
    AdminClient,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from tests.conftest import _missing
from tests.daemon.ask import get, samples, until
from tests.daemon.build import await_done, stream, verdicts
from tests.daemon.recount import differences, recount
from tests.faults.authority import Authority
from tests.faults.world import BRISK, await_read, ends_well, is_exact, lines_of, on_kafka, pieces
from tests.kafka.broker import KafkaBroker, KafkaUnavailable, Listener, free_ports, ways_in

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl to make certificates"),
]
FIRST, SECOND, WRONG = "first-secret", "second-secret", "no-such-secret"
LIFETIME = 4
"""Seconds that a token is good for, and a login by password."""


class Secured:
    """A broker that is entered by password, by token, or with a certificate that has expired."""

    def __init__(self, folder):
        self.authority = Authority(folder)
        ports = free_ports(3)
        self.by_password, self.by_token, self.expired = (f"localhost:{port}" for port in ports)
        ways = (
            Listener("PASSWORD", "SASL_SSL", ports[0]),
            Listener("TOKEN", "SASL_PLAINTEXT", ports[1]),
            Listener("EXPIRED", "SSL", ports[2]),
        )
        properties = ways_in(*ways)
        properties["advertised.listeners"] = properties["advertised.listeners"].replace(
            "127.0.0.1", "localhost"
        )
        for name, file in (("password", "server"), ("expired", "old")):
            properties |= {
                f"listener.name.{name}.ssl.keystore.type": "PEM",
                f"listener.name.{name}.ssl.keystore.location": str(
                    self.authority.issue(file, expired=name == "expired")
                ),
            }
        login = "org.apache.kafka.common.security"
        properties |= {
            "listener.name.password.sasl.enabled.mechanisms": "SCRAM-SHA-512",
            "listener.name.password.scram-sha-512.sasl.jaas.config": f"{login}.scram.ScramLoginModule required;",
            "listener.name.password.scram-sha-512.connections.max.reauth.ms": str(LIFETIME * 1000),
            "listener.name.token.sasl.enabled.mechanisms": "OAUTHBEARER",
            "listener.name.token.oauthbearer.sasl.jaas.config": (
                f'{login}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="kafka";'
            ),
            "listener.name.token.oauthbearer.connections.max.reauth.ms": str(LIFETIME * 1000),
        }
        self.broker = KafkaBroker(
            folder / "kafka", properties=properties, scram=[f"SCRAM-SHA-512=[name=ada,password={FIRST}]"]
        )

    def change(self, password):
        """Another password for the user, from now on the only one."""
        client = AdminClient({"bootstrap.servers": self.broker.bootstrap, "log_level": 0})
        info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
        change = UserScramCredentialUpsertion("ada", info, password.encode())
        client.alter_user_scram_credentials([change])["ada"].result(30)


@pytest.fixture(scope="module")
def secured(tmp_path_factory):
    try:
        found = Secured(tmp_path_factory.mktemp("secured"))
    except KafkaUnavailable as error:
        _missing("kafka", str(error))
    with found.broker:
        yield found


def behind(made, secured, where, **properties):
    """The same scene, entered another way."""
    ours = {"ssl.ca.location": str(secured.authority.certificate), "reconnect.backoff.max.ms": "500"}
    made.configure(kafka={"brokers": [where], "properties": {**ours, **properties}})
    return made


PASSWORD = {"security.protocol": "SASL_SSL", "sasl.mechanism": "SCRAM-SHA-512", "sasl.username": "ada"}


def check(made):
    """What `driftline check` says."""
    command = [sys.executable, "-m", "monitor", "check", "-c", str(made.config)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=90)
    return done.stdout + done.stderr


@pytest.mark.slow
def test_row_52_a_password_is_wrong_then_right_then_another(tmp_path, secured, receiver):
    """What is wrong is said, without the password. Once its file is right, and each time it changes, the process goes
    on by itself; nothing is lost or counted twice on the way."""
    secured.change(FIRST)
    made = behind(
        on_kafka(tmp_path, secured.broker, receiver=receiver), secured, secured.by_password, **PASSWORD
    )
    file = tmp_path / "password"
    file.write_text(WRONG)
    made.configure(kafka={"secret_properties": {"sasl.password": {"file": str(file)}}})
    sent = stream(range(6))
    parts = pieces(sent, 3)
    assert "SASL" in check(made)
    made.send(parts[0])
    with made.process(module=BRISK) as life:
        until(lambda: "authentication" in get(f"{life.url}/-/ready")[1].lower(), "the reason to be shown")
        assert get(f"{life.url}/-/healthy")[0] == 200
        file.write_text(FIRST)
        await_read(life, parts[0])
        secured.change(SECOND)
        until(lambda: len(lines_of(life, "kafka_error")) > 2, "the old password to be refused")
        made.send(parts[1])
        file.write_text(SECOND + "\n")
        await_read(life, parts[0] + parts[1])
        made.send(parts[2])
        ends_well(life, sent)
        assert not [secret for secret in (FIRST, SECOND, WRONG) if secret in life.output]
    is_exact(made, sent)


@pytest.mark.slow
def test_row_52_the_certificate_of_the_broker_has_expired(tmp_path, secured, receiver):
    """`check` and the daemon say that it is the certificate."""
    made = behind(
        on_kafka(tmp_path, secured.broker, receiver=receiver),
        secured,
        secured.expired,
        **{"security.protocol": "SSL"},
    )
    assert "certificate verify failed" in check(made)
    with made.process(module=BRISK) as life:
        until(lambda: "certificate verify failed" in get(f"{life.url}/-/ready")[1], "the reason to be shown")
        assert life.end() == 0


class TokenEndpoint:
    """Gives out tokens that run out soon, as an identity provider does, and counts them."""

    def __init__(self):
        self.given = 0
        self.is_down = False
        endpoint = self

        class Connection(BaseHTTPRequestHandler):
            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                if endpoint.is_down:
                    self.send_error(503)
                    return
                endpoint.given += 1
                body = json.dumps(
                    {"access_token": token(), "token_type": "bearer", "expires_in": LIFETIME}
                ).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                """Counted, not logged."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Connection)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/token"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()


def token():
    """An unsecured JSON Web Token, which Kafka's own default takes."""
    now = int(time.time())
    parts = ({"alg": "none"}, {"sub": "ada", "iat": now, "exp": now + LIFETIME})
    texts = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*texts, ""])


def by_token(made, secured, endpoint):
    """The same scene, whose logins are tokens of the endpoint."""
    behind(
        made, secured, secured.by_token,
        **{
            "security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "OAUTHBEARER", "sasl.oauthbearer.method": "oidc",
            "sasl.oauthbearer.token.endpoint.url": endpoint.url, "sasl.oauthbearer.client.id": "driftline",
        },
    )  # fmt: skip
    made.configure(kafka={"secret_properties": {"sasl.oauthbearer.client.secret": {"value": FIRST}}})
    return made


@pytest.mark.slow
def test_row_39_what_is_told_of_tokens_raises(tmp_path, secured, receiver):
    """No token is to be had for a while. The library tells it in a poll, among records, and the callback has a defect: no
    record is passed, and with the next token reading goes on."""
    with TokenEndpoint() as endpoint:
        made = by_token(on_kafka(tmp_path, secured.broker, receiver=receiver), secured, endpoint)
        sent, raised = stream(range(8)), []

        def broken(error):
            if error.code() == KafkaError._AUTHENTICATION and len(raised) < 3:
                raised.append(error)
                raise ZeroDivisionError("a defect")

        with made.daemon() as daemon:
            until(lambda: daemon.ingest.partitions, "an assignment")
            before = samples(daemon.server.url)["internal_errors_total", "ingest"]
            daemon.ingest.consumer._listener._note_error = broken
            endpoint.is_down = True
            for number, piece in enumerate(pieces(sent, 8)):
                made.send(piece)
                until(lambda number=number: raised or number < 6, "the tokens to be missed")
                time.sleep(LIFETIME / 4)
            endpoint.is_down = False
            await_done(daemon, len(sent))
            assert samples(daemon.server.url)["internal_errors_total", "ingest"] >= before + 1
            assert differences(daemon.state, recount(sent), verdicts(daemon)) == []


@pytest.mark.slow
def test_row_52_tokens_run_out_under_load(tmp_path, secured, receiver):
    """They are asked for anew before they do, the broker has every login renewed, and reading goes on."""
    with TokenEndpoint() as endpoint:
        made = by_token(on_kafka(tmp_path, secured.broker, receiver=receiver), secured, endpoint)
        sent = stream(range(8))
        with made.process(module=BRISK) as life:
            until(lambda: get(f"{life.url}/-/ready")[0] == 200, "readiness")
            given = endpoint.given
            for piece in pieces(sent, 8):
                made.send(piece)
                time.sleep(LIFETIME / 4)
            assert endpoint.given >= given + 2
            ends_well(life, sent)
            assert FIRST not in life.output
    is_exact(made, sent)
