import re

import pytest
import redis

from service.store.scripts import FILES, SCRIPTS, RedisScripts, Script, text_of

FUNCTIONS = set(FILES) - set(SCRIPTS)
CALLED = re.compile(r"(?<![\w.:])(\w+)\(")


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_uses_exactly_the_keys_that_it_declares(name: str) -> None:
    script = SCRIPTS[name]
    declared = {key.removesuffix("...") for key in script.keys}

    assert set(re.findall(r"\bkeys\.(\w+)", script.body)) <= declared
    assert len(declared) == len(script.keys)


@pytest.mark.parametrize("name", FILES)
def test_no_script_uses_keys_or_arguments_by_position(name: str) -> None:
    assert not re.search(r"\b(KEYS|ARGV)\b", FILES[name].body)


@pytest.mark.parametrize("name", FILES)
def test_a_file_uses_exactly_the_functions_that_it_declares(name: str) -> None:
    script = FILES[name]
    defined = {file: set(re.findall(r"^local function (\w+)", FILES[file].body, re.MULTILINE)) for file in FUNCTIONS}
    own = set(re.findall(r"\blocal function (\w+)", script.body))
    called = set(CALLED.findall(re.sub("--.*", "", script.body))) - own

    assert {file for file, names in defined.items() if names & called} == set(script.uses)


@pytest.mark.parametrize("name", FILES)
def test_a_file_begins_with_its_purpose_and_declarations(name: str) -> None:
    head = re.match(r"(?:--.*\n)*", FILES[name].body)

    assert head
    assert head[0].startswith("-- ")
    assert "\n-- keys: " not in FILES[name].body[head.end() :]
    assert "\n-- uses: " not in FILES[name].body[head.end() :]


def test_a_list_of_keys_takes_all_remaining_keys() -> None:
    script = Script.read("-- Count.\n-- uses: clock\n-- keys: job rest...\nreturn #keys.rest\n")

    assert script.prelude.startswith("local keys = {job = KEYS[1], rest = {unpack(KEYS, 2)}}\n")
    assert script.in_order({"rest": ["b", "c"], "job": "a"}) == ["a", "b", "c"]
    assert text_of(script).startswith(FILES["clock"].body)


@pytest.mark.parametrize(
    "keys", [{}, {"job": "a"}, {"job": "a", "lease": "b"}, {"job": "a", "leases": "b", "queue": "c"}]
)
def test_undeclared_keys_are_rejected_before_a_command_is_sent(keys: dict[str, str]) -> None:
    scripts = RedisScripts(redis.Redis(port=1))

    with pytest.raises(ValueError, match="declares the keys"):
        scripts.run("renew", keys)
