"""The two ways to ask a policy: a signed HTTP request, or a call of a Python function."""

import importlib
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_network

from pydantic import ValidationError

from cinemo_spec.wording import with_place
from service.contract.problems import Problem
from service.contract.record import new_id
from service.contract.settings import Settings
from service.outbound.client import Outbound
from service.policy.decision import Decision, Question
from service.webhooks.sign import sign

MAX_ANSWER_BYTES = 65_536
CALLABLE_THREADS = 8
ANYWHERE = (ip_network("0.0.0.0/0"), ip_network("::/0"))
"""The operator names the URL, so it may lead into his own network."""


class PolicyFailed(Exception):
    """The policy gave no answer that can be used."""


Ask = Callable[[Question], Decision]
"""Asks a policy; raises `PolicyFailed`."""


def ask_url(url: str, secrets: list[str], timeout_seconds: float, user_agent: str) -> Ask:
    """Ask by `POST`, signed like a webhook (Standard Webhooks 1.0)."""
    outbound = Outbound(ANYWHERE, user_agent=user_agent)

    def ask(question: Question) -> Decision:
        body = question.model_dump_json(exclude_none=True).encode()
        headers = {"content-type": "application/json", **sign(secrets, new_id("pol_"), int(time.time()), body)}
        try:
            response = outbound.post(
                url, body=body, headers=headers, timeout_seconds=timeout_seconds, max_bytes=MAX_ANSWER_BYTES
            )
        except Problem as problem:
            raise PolicyFailed(problem.detail) from problem
        if response.status != 200:
            raise PolicyFailed(f"the policy answered {response.status}")
        return parse(response.body)

    return ask


def ask_callable(path: str, timeout_seconds: float) -> Ask:
    """Call a function named `package.module:function` with a `Question`; it returns a `Decision`.

    A call that takes too long is given up, but goes on in its thread.

    Raises:
        ValueError: there is no such function.
    """
    function = load(path)
    threads = ThreadPoolExecutor(CALLABLE_THREADS, thread_name_prefix="policy")

    def ask(question: Question) -> Decision:
        call = threads.submit(function, question)
        try:
            raised = call.exception(timeout_seconds)
        except TimeoutError as error:
            raise PolicyFailed("the policy took too long") from error
        if raised is not None:
            # Whatever it is: even a `SystemExit` of the operator's function ends no process of ours.
            raise PolicyFailed(f"the policy raised {type(raised).__name__}") from raised
        decision = call.result()
        if not isinstance(decision, Decision):
            raise PolicyFailed(f"the policy returned {type(decision).__name__} instead of a Decision")
        return decision

    return ask


def load(path: str) -> Callable[[Question], Decision]:
    """The function of a path; raises `ValueError`."""
    module, _, name = path.partition(":")
    try:
        function: Callable[[Question], Decision] = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"CINEMO_POLICY_CALLABLE: {path} cannot be loaded: {error}") from error
    if not callable(function):
        raise ValueError(f"CINEMO_POLICY_CALLABLE: {path} is not callable")
    return function


def parse(body: bytes) -> Decision:
    """A decision from JSON; raises `PolicyFailed`."""
    try:
        return Decision.model_validate_json(body)
    except ValidationError as error:
        raise PolicyFailed(f"the policy's answer is not valid: {with_place(error.errors()[0])}") from error


def ask_as_configured(settings: Settings) -> Ask | None:
    """By the settings' URL or callable; None without a policy."""
    if settings.policy_url:
        assert settings.policy_secret is not None
        secrets = settings.policy_secret.get_secret_value().split()
        return ask_url(settings.policy_url, secrets, settings.policy_timeout_seconds, settings.outbound_user_agent)
    if settings.policy_callable:
        return ask_callable(settings.policy_callable, settings.policy_timeout_seconds)
    return None
