import pytest
import redis
from redis._parsers.base import BaseParser

from deploy.doctor.redis_server import MEMORY_FULL, NO_PERMISSION, REPLICA, SEE_LOG, remedy_for


@pytest.mark.parametrize(
    ("answer", "remedy"),
    [
        ("READONLY You can't write against a read only replica. script: 3f2a, on @user_script:2.", REPLICA),
        ("ERR Error running script (call to f_3f2a): @user_script:2: -READONLY You can't write", REPLICA),
        ("OOM command not allowed when used memory > 'maxmemory'. script: 3f2a, on @user_script:2.", MEMORY_FULL),
        ("ERR Error running script (call to f_3f2a): @user_script:2: -OOM command not allowed", MEMORY_FULL),
        ("NOPERM this user has no permissions to run the 'eval' command", NO_PERMISSION),
        ("ERR something that nobody has seen", SEE_LOG),
    ],
)
def test_rejected_writes_have_a_remedy_for_old_and_new_servers(answer: str, remedy: str) -> None:
    error = BaseParser.parse_error(answer)
    assert isinstance(error, redis.RedisError)
    assert remedy_for(error) == remedy
