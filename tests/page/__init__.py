"""The playground in a real Chromium, over the whole stack: `make page-test`.

Apart from `make test`, since no package of pip brings a Chromium that plays H.264: Playwright's own does not, so it is
Debian's (`apt install chromium`) or Chrome.
"""
