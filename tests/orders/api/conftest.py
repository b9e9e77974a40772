import pytest

BASE = "/api/v1"


@pytest.fixture
def read(client, db):
    """GET below /api/v1: the answer's body."""

    def get(path, **headers):
        response = client.get(f"{BASE}{path}", headers=headers)
        assert response.status_code == 200, response.content
        return response.json()

    return get


@pytest.fixture
def ids(read):
    """The ids that a list shows, first page only."""

    def listed(path):
        return [row["id"] for row in read(path)["results"]]

    return listed


@pytest.fixture
def refused(client, db):
    """GET below /api/v1 that is refused: status, code and the one sentence."""

    def get(path, **headers):
        response = client.get(f"{BASE}{path}", headers=headers)
        body = response.json()
        assert response.headers["Content-Type"] == "application/json"
        assert sorted(body) == ["code", "detail"]
        assert isinstance(body["detail"], str)
        return response.status_code, body["code"], body["detail"]

    return get
