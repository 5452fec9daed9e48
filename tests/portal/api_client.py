"""Clients of the API for tests."""

from rest_framework.test import APIClient

from portal.models import ApiToken

API = "/api/v1/"


def bearer(user, **fields) -> APIClient:
    """A client with a new token of the user; nothing but the token says who it is."""
    made, secret = ApiToken.objects.create(user=user, **fields)
    client = APIClient(raise_request_exception=False)
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
    client.token = made
    return client
