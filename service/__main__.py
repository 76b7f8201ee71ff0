"""Run the API: `python -m service --host 127.0.0.1 --port 8000`."""

import argparse

import uvicorn

from service.logs import log_uncaught

GRACE_SECONDS = 10


def main() -> None:
    """Serve until stopped."""
    parser = argparse.ArgumentParser(description="The Cinemo API.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    arguments = parser.parse_args()
    log_uncaught()
    uvicorn.run(
        "service.app:create_app",
        factory=True,
        host=arguments.host,
        port=arguments.port,
        # What uvicorn logs goes the way of all logs; of each request the middleware tells.
        log_config=None,
        access_log=False,
        # Clients that listen to events would else keep a process that was told to stop for as long as they like.
        timeout_graceful_shutdown=GRACE_SECONDS,
    )


if __name__ == "__main__":
    main()
