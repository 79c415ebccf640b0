"""A certificate authority of the tests' own: certificates for the loopback, one of them expired."""

from __future__ import annotations

import subprocess
from pathlib import Path


class Authority:
    """Writes to `folder`; needs openssl."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.certificate = folder / "ca.pem"
        self._key = folder / "ca.key"
        self._openssl(
            *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=authority"),
            *("-keyout", self._key, "-out", self.certificate),
        )

    def issue(self, name: str, *, expired: bool = False) -> Path:
        """A file that holds a key and its certificate, as Kafka takes them."""
        key, request, certificate = (self.folder / f"{name}.{kind}" for kind in ("key", "csr", "crt"))
        self._openssl(
            *("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost"),
            *("-keyout", key, "-out", request),
        )
        (self.folder / "names.cnf").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
        self._sign(
            request,
            certificate,
            ("200101000000Z", "200201000000Z") if expired else ("200101000000Z", "491231000000Z"),
        )
        whole = self.folder / f"{name}.pem"
        whole.write_text(key.read_text() + certificate.read_text())
        return whole

    def _sign(self, request: Path, certificate: Path, span: tuple[str, str]) -> None:
        """`openssl ca` alone takes both ends of the time in every version that is around."""
        config = self.folder / "ca.cnf"
        config.write_text(
            f"[ca]\ndefault_ca=own\n[own]\ndatabase={self.folder}/index\nserial={self.folder}/serial\nunique_subject=no\n"
            f"new_certs_dir={self.folder}\ndefault_md=sha256\npolicy=any\n[any]\ncommonName=supplied\n"
        )
        (self.folder / "index").touch()
        self._openssl(
            *(
                "ca",
                "-batch",
                "-config",
                config,
                "-cert",
                self.certificate,
                "-keyfile",
                self._key,
                "-create_serial",
            ),
            *("-in", request, "-out", certificate, "-extfile", self.folder / "names.cnf", "-notext"),
            *("-startdate", span[0], "-enddate", span[1]),
        )

    def _openssl(self, *arguments: object) -> None:
        done = subprocess.run(
            ["openssl", *map(str, arguments)], capture_output=True, text=True, check=False, timeout=60
        )
        if done.returncode:
            raise RuntimeError(f"openssl {arguments[0]}:\n{done.stderr}")
