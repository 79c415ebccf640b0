from __future__ import annotations

import pytest

from tests.conftest import _missing
from tests.deploy.render import INSTALLATIONS, render
from tests.deploy.tools.build import is_built


@pytest.fixture(scope="session")
def programs():
    """Helm, Kustomize, kubeconform and actionlint are there."""
    if not is_built():
        _missing("deploy", "Helm and Kustomize are not built, make deploy-tools builds them")


@pytest.fixture(params=INSTALLATIONS)
def installation(request, programs):
    """Each example and environment of the chart, and each overlay."""
    return render(request.param)
