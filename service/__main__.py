"""Run the API: `python -m service --host 127.0.0.1 --port 8000`."""

import argparse

import uvicorn

GRACE_SECONDS = 10


def main() -> None:
    """Serve until stopped."""
    parser = argparse.ArgumentParser(description="The Cinemo API.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    arguments = parser.parse_args()
    uvicorn.run(
        "service.app:create_app",
        factory=True,
        host=arguments.host,
        port=arguments.port,
        log_level="info",
        # Clients that listen to events would else keep a process that was told to stop for as long as they like.
        timeout_graceful_shutdown=GRACE_SECONDS,
    )


if __name__ == "__main__":
    main()
