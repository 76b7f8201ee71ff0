"""Invalid IDs, hosts and names are rejected with their pointer wherever a client can send them, never a 500."""

import json
from typing import Any

import httpx
import pytest

from tests.conftest import Api
from tests.integration.bodies import IMAGE, send
from tests.integration.refusal import assert_refused

YEAR_10889 = "f" * 12
YEAR_9999 = f"{253402300799000:012x}"


@pytest.mark.parametrize(
    "when", [YEAR_10889, YEAR_9999, "e677d21fdc00", "0" * 12], ids=["10889", "9999", "10000", "1970"]
)
@pytest.mark.parametrize("path", ["/animate", "/edit"])
def test_an_upload_id_with_an_impossible_date_is_unknown(api: Api, when: str, path: str) -> None:
    name = "upload_id" if path == "/animate" else "video_upload_id"
    fields = {name: f"upl_{when}7{'0' * 19}", "prompt": "waves"}
    if path == "/edit":
        fields["image_base64"] = IMAGE
    assert_refused(api, send(api, json.dumps(fields), path), 422, f"#/{name}", "INPUT.UPLOAD.UNKNOWN")


BAD_HOSTS = [
    "http://xn--a/",
    "http://xn--a.com:80/",
    "http://xn--/",
    "http://xn--99999999.com/",
    "http://xn--" + "9" * 50 + ".com/",
    "http://a..b/",
    "http://.a/",
    "http://" + "a" * 64 + ".com/",
    "http://[::1",
    "http://[v1.x]/",
    "http://[fe80::1%25eth0]/",
    "http://%31/",
    "http://a:port/",
    "http://a:99999/",
    "http:///",
]
"""Of printable ASCII, so that a webhook's URL may be such, too."""


@pytest.mark.parametrize("url", BAD_HOSTS)
@pytest.mark.parametrize("field", ["image_url", "webhook_url"])
def test_a_url_with_an_invalid_host_is_rejected_without_a_lookup(api: Api, field: str, url: str) -> None:
    fields = {"prompt": "waves", "image_base64": IMAGE, field: url}
    if field == "image_url":
        del fields["image_base64"]
    assert_refused(api, send(api, json.dumps(fields)), 422, f"#/{field}", "INPUT.URL.FORBIDDEN")


@pytest.mark.parametrize("url", BAD_HOSTS)
def test_trainings_and_reruns_reject_invalid_webhook_urls_too(api: Api, url: str) -> None:
    train = {"name": "w", "data": {"source": "datasets/w"}, "steps": 1, "webhook_url": url}
    assert_refused(api, send(api, json.dumps(train), "/train"), 422, "#/webhook_url", "INPUT.URL.FORBIDDEN")
    job = send(api, json.dumps({"prompt": "waves", "image_base64": IMAGE})).json()
    again = send(api, json.dumps({"webhook_url": url}), f"/jobs/{job['id']}/rerun")
    assert (again.status_code, again.json()["errors"][0]["pointer"]) == (422, "#/webhook_url")


@pytest.mark.parametrize(
    "url",
    ["http://\ud800/", "http://a/\ud800", "http://a/?\udfff", "http://u\ud800@a/", "\ud800", "http://a\ud800.com:80/"],
)
@pytest.mark.parametrize("field", ["image_url", "webhook_url"])
def test_a_url_with_surrogates_is_rejected(api: Api, field: str, url: str) -> None:
    fields = {"prompt": "waves", field: url}
    if field == "webhook_url":
        fields["image_base64"] = IMAGE
    assert_refused(api, send(api, json.dumps(fields)), 422, f"#/{field}", "")


LONG, SURROGATE = "a" * 5000, "a\ud800"


@pytest.mark.parametrize(
    ("path", "fields", "pointer"),
    [
        ("/animate", {"upload_id": LONG}, "#/upload_id"),
        ("/animate", {"upload_id": SURROGATE}, "#/upload_id"),
        ("/animate", {"image_base64": IMAGE, "model": LONG}, "#/model"),
        ("/animate", {"image_base64": IMAGE, "model": SURROGATE}, "#/model"),
        ("/animate", {"image_base64": SURROGATE}, "#/image_base64"),
        ("/edit", {"image_base64": IMAGE, "video_upload_id": LONG}, "#/video_upload_id"),
        ("/edit", {"image_base64": IMAGE, "video_upload_id": SURROGATE}, "#/video_upload_id"),
        ("/train", {"name": "w", "steps": 1, "data": {"source": f"datasets/{LONG}"}}, "#/data/source"),
        ("/train", {"name": "w", "steps": 1, "data": {"source": f"datasets/{'b/' * 200}{'a' * 300}"}}, "#/data/source"),
        ("/train", {"name": "w", "steps": 1, "data": {"source": f"datasets/{SURROGATE}"}}, "#/data/source"),
        ("/train", {"name": LONG, "steps": 1, "data": {"source": "datasets/w"}}, "#/name"),
        ("/train", {"name": "w", "steps": 1, "base_model": LONG, "data": {"source": "datasets/w"}}, "#/base_model"),
        (
            "/train",
            {"name": "w", "steps": 1, "base_model": SURROGATE, "data": {"source": "datasets/w"}},
            "#/base_model",
        ),
        (
            "/train",
            {"name": "w", "steps": 1, "lora": {"alpha": 10**400}, "data": {"source": "datasets/w"}},
            "#/lora/alpha",
        ),
    ],
)
def test_names_that_are_too_long_or_not_text_are_rejected(
    api: Api, path: str, fields: dict[str, Any], pointer: str
) -> None:
    given = {**({} if path == "/train" else {"prompt": "waves"}), **fields}
    assert_refused(api, send(api, json.dumps(given), path), 422, pointer, "")


@pytest.mark.parametrize("video", [SURROGATE, LONG, "a\0", 5, None, ["a"], {"a": "b"}])
def test_the_id_of_an_edits_video_is_never_a_500(api: Api, video: Any) -> None:
    fields = {"video": {"id": video}, "input_reference": f"data:image/png;base64,{IMAGE}", "prompt": "waves"}
    answer = send(api, json.dumps(fields), "/v1/videos/edits")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "video"), answer.text


@pytest.mark.parametrize("field", ["seconds", "num_frames"])
@pytest.mark.parametrize("digits", [7, 400, 4000])
def test_a_length_of_many_digits_is_rejected(api: Api, field: str, digits: int) -> None:
    fields = {field: 10**digits, "input_reference": f"data:image/png;base64,{IMAGE}", "prompt": "waves"}
    answer = send(api, json.dumps(fields), "/v1/videos")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, field), answer.text


@pytest.mark.parametrize(
    "path",
    [
        f"/jobs/{LONG}",
        f"/models/{LONG}",
        f"/files/{LONG}?expires=1&signature=x",
        f"/files/x?expires={'9' * 4000}&signature=x",
        "/files/x?expires=1&signature=%ff%00",
        "/files/%00?expires=1&signature=x",
        f"/web/{LONG}",
        "/web/%00",
        "/models/%00",
        "/jobs/%ff%00",
    ],
)
def test_unknown_paths_are_never_a_500(api: Api, path: str) -> None:
    answer = httpx.get(api.url + path)
    assert answer.status_code in (403, 404, 422)
    assert len(answer.content) < 2000, "what was sent is not sent back at length"


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00Z"])
def test_the_earliest_and_latest_timestamps_are_accepted(api: Api, moment: str) -> None:
    for name in ("created_after", "created_before"):
        assert httpx.get(f"{api.url}/jobs", params={name: moment}).status_code == 200
    asked = {"after": moment, "before": moment}
    assert httpx.post(f"{api.url}/webhooks/redeliver", json=asked).status_code == 202
