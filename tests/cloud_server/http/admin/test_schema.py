"""schemathesis asks the API for what its description allows, and for what it forbids."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from admin_parts import V1, Api
from hypothesis import HealthCheck, given, settings
from schemathesis.core.result import Ok

from cloud_server.access.rates import RateLimiter
from cloud_server.fleet.database.users import Role
from cloud_server.http.admin.access import Desk

QUICK, LONG = 8, 40


def run(api: Api, examples: int) -> None:
    api.app.state.admin = Desk(api.fleet, lambda: True, RateLimiter(None, 1))
    schema = schemathesis.openapi.from_asgi(f"{V1}/openapi.json", api.app)
    asked = 0
    for found in schema.get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()

        @given(case=operation.as_strategy())
        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            derandomize=examples == QUICK,  # what CI asks is the same each time
            suppress_health_check=list(HealthCheck),
        )
        def ask(case: schemathesis.Case[Any]) -> None:
            nonlocal asked
            asked += 1
            # A request as described may still be refused: a setting that no device can follow, a user who is there.
            may_refuse: list[Any] = [schemathesis.checks.CHECKS.get_one("positive_data_acceptance")]
            case.call_and_validate(headers=api.headers[Role.OPERATE], excluded_checks=may_refuse)

        ask()
    assert asked >= examples


def test_the_api_does_as_its_description_says(api: Api) -> None:
    run(api, QUICK)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_api_does_as_its_description_says_for_long(api: Api) -> None:
    run(api, LONG)
