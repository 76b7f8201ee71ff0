"""Settings of components that a test runs in its own process."""

from pathlib import Path

from service.contract.settings import Settings


def settings_for(redis_port: int, folder: Path) -> Settings:
    """Settings with files in a folder, and webhook receivers on this machine allowed."""
    return Settings(
        redis_url=f"redis://127.0.0.1:{redis_port}/0",
        storage_url=f"file://{folder}",
        url_signing_key="for tests alone",
        public_base_url="http://cinemo.test",
        outbound_allowed_networks=("127.0.0.0/8",),
    )
