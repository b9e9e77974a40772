"""What each kind of answer tells a browser; that pages work under it is for test_browser_admin."""

import re

import pytest
from django.contrib.auth.models import User

pytestmark = pytest.mark.django_db

NO_PAGE = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


def directives(answer):
    return dict(part.split(" ", 1) for part in answer["Content-Security-Policy"].split("; "))


@pytest.mark.parametrize(
    "path", ["/orders", "/executions", "/account", "/api/v1/orders", "/openapi.json", "/health/live", "/nowhere", "/"]
)
def test_what_is_no_page_may_do_nothing(client, path):
    answer = client.get(path)

    policy = answer["Content-Security-Policy"]
    assert {*policy.split("; ")} == {*NO_PAGE.split("; ")}
    assert answer["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["/admin/", "/admin/orders/order/", "/admin/login/", "/docs", "/redoc"])
def test_every_page_has_a_policy(client, path):
    client.force_login(User.objects.create_superuser("root"))

    answer = client.get(path, follow=True)

    policy = directives(answer)
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert "'unsafe-inline'" not in policy["script-src"]
    assert ("'unsafe-eval'" in policy["script-src"]) is path.startswith("/admin/")
    assert "no-store" in answer["Cache-Control"]


def test_a_nonce_is_of_one_answer(client):
    first, second = (client.get("/docs") for _ in range(2))

    nonces = [re.search(r"'nonce-([^']+)'", directives(answer)["script-src"])[1] for answer in (first, second)]
    assert nonces[0] != nonces[1]
    assert f'<script nonce="{nonces[0]}">' in first.content.decode()


@pytest.mark.parametrize("path", ["/orders", "/admin/login/", "/docs", "/nowhere", "/health/live"])
def test_the_other_headers(client, path):
    answer = client.get(path)

    assert {
        name: answer[name]
        for name in (
            "X-Content-Type-Options", "X-Frame-Options", "Referrer-Policy", "Cross-Origin-Opener-Policy",
            "Cross-Origin-Resource-Policy",
        )
    } == {
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
    }  # fmt: skip
    assert "camera=()" in answer["Permissions-Policy"]


def test_a_refused_host_is_told_the_same(client):
    answer = client.get("/orders", HTTP_HOST="evil.example")

    assert answer.status_code == 400

    assert {*answer["Content-Security-Policy"].split("; ")} == {*NO_PAGE.split("; ")}


def test_files_may_be_kept(client):
    answer = client.get("/static/review/review.css")
    answer.close()

    assert answer.status_code == 200
    assert "no-store" not in answer.get("Cache-Control", "")
