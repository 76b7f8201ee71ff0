"""The pages' files as browsers get them. `tests/page` tests what the playground does with them."""

import re
import tomllib
from pathlib import Path
from urllib.parse import urldefrag, urljoin

import httpx
import pytest

from service.api.animate import FORM_SCHEMA
from service.api.assets import FOLDER
from service.api.cross_site import origin_of
from service.api.pictures import SOURCES
from service.contract.requests import JobOptions
from service.contract.settings import Settings
from service.storage import open_object_store
from tests.conftest import BUCKET, Api, api_running
from tests.integration.tags import Tags

ROOT = Path(__file__).parents[2]
FILES = sorted(path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*") if path.is_file())
MAX_BYTES = 256 * 1024
REFERENCES = re.compile(r"""(?:from |import\(|url\()["'](.+?)["']""")


def get(api: Api, path: str, **headers: str) -> httpx.Response:
    return httpx.get(api.url + path, headers=headers)


def page_of(api: Api, path: str = "/") -> Tags:
    return Tags(get(api, path).text)


def references(url: str, answer: httpx.Response) -> set[str]:
    """URLs in a page's file that a browser loads by itself, or could be made to load."""
    if not answer.headers["content-type"].startswith("text/html"):
        return {urljoin(url, each) for each in REFERENCES.findall(answer.text)}
    tags = Tags(answer.text).found
    links = [each.get(name) for _, each in tags for name in ("src", "href")]
    photos = [f"web/photos/{each['data-photo']}" for _, each in tags if "data-photo" in each]
    return {urldefrag(urljoin(url, each)).url for each in [*links, *photos] if each}


def test_the_pages_use_only_their_own_files_and_all_of_them(api: Api) -> None:
    seen: set[str] = set()
    waiting = {f"{api.url}/"}
    while waiting:
        url = waiting.pop()
        seen.add(url)
        answer = httpx.get(url)
        assert answer.status_code == 200, url
        if answer.headers["content-type"].startswith("text/"):
            waiting |= references(url, answer) - seen
    paths = {url.removeprefix(api.url) for url in seen}
    assert paths == {"/", "/docs", "/openapi.json", *(f"/web/{name}" for name in FILES if name != "index.html")}


def test_no_file_of_the_pages_refers_to_another_host(api: Api) -> None:
    for name in FILES:
        answer = get(api, f"/web/{name}")
        if not answer.headers["content-type"].startswith("image/jpeg"):
            hosts = set(re.findall(r"[a-z]+://[^\s\"'`<>]+", answer.text)) - {"http://www.w3.org/2000/svg"}
            assert not hosts, name


def test_the_pages_are_small(api: Api) -> None:
    sizes = {name: len(get(api, f"/web/{name}").content) for name in FILES}
    assert sum(sizes.values()) < MAX_BYTES, sizes


@pytest.mark.parametrize("path", ["/", "/docs", "/web/js/main.js", "/web/photos/coffee.jpg"])
def test_every_files_content_security_policy_allows_only_itself_and_the_storage(api: Api, path: str) -> None:
    answer = get(api, path)
    policy = dict(each.split(" ", 1) for each in answer.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["media-src"] == f"'self' {api.url}"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_no_page_needs_a_laxer_content_security_policy(api: Api, path: str) -> None:
    for tag, attributes in page_of(api, path).found:
        assert tag not in ("style", "iframe", "object", "base")
        assert tag != "script" or attributes["src"]
        assert not [name for name in attributes if name == "style" or name.startswith("on")], attributes


def test_a_cached_file_is_not_sent_again(api: Api) -> None:
    first = get(api, "/web/js/main.js")
    assert first.headers["cache-control"] == "no-cache"
    for known in (first.headers["etag"], f'"other", W/{first.headers["etag"]}', "*"):
        again = get(api, "/web/js/main.js", **{"if-none-match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
        assert again.headers["content-security-policy"] == first.headers["content-security-policy"]
    assert get(api, "/web/js/main.js", **{"if-none-match": '"other"'}).content == first.content
    assert get(api, "/").headers["etag"] != first.headers["etag"]


def test_head_describes_a_file_without_sending_it(api: Api) -> None:
    head, whole = httpx.head(f"{api.url}/"), get(api, "/")
    assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", whole.headers["etag"])
    assert head.headers["content-length"] == str(len(whole.content))


@pytest.mark.parametrize("path", ["/web/", "/web/none.js", "/web/../settings.py", "/web/%2e%2e/settings.py"])
def test_nothing_but_the_pages_files_is_served(api: Api, path: str) -> None:
    answer = get(api, path)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


def test_the_form_has_the_fields_of_the_api(api: Api) -> None:
    page, taken = page_of(api), FORM_SCHEMA["properties"]
    assert isinstance(taken, dict)
    # A row of adapters has fields of its own.
    fields = {str(each["data-field"]).partition("/")[0] for _, each in page.found if "data-field" in each}
    beside = {"format", *JobOptions.model_fields, *SOURCES} - {"image"}
    assert fields == set(taken) - beside
    for name in ("motion_intensity", "num_inference_steps", "guidance_scale", "noise_cutoff", "noise_level"):
        slider = page.named(id=name, type="range")
        least, most, value = (float(slider[each] or "nan") for each in ("min", "max", "value"))
        assert taken[name]["minimum"] == least <= value <= most <= taken[name]["maximum"]
        assert name == "num_inference_steps" or most == taken[name]["maximum"]
    assert page.named(id="adapters")["data-max"] == str(taken["adapters"]["maxItems"])


def test_the_form_has_the_services_defaults_and_limits_and_the_policy_its_bucket(
    redis_port: int, tmp_path: Path
) -> None:
    changes = {
        "CINEMO_DEFAULT_NUM_INFERENCE_STEPS": "7",
        "CINEMO_MAX_NUM_INFERENCE_STEPS": "9",
        "CINEMO_DEFAULT_GUIDANCE_SCALE": "2.5",
        "CINEMO_MAX_IMAGE_BYTES": "4711",
        "CINEMO_STORAGE_URL": f"s3://{BUCKET}",
        "CINEMO_S3_ENDPOINT_URL": "http://127.0.0.1:9",
        "CINEMO_S3_PUBLIC_ENDPOINT_URL": "https://files.example.com:8443/inner",
    }
    with api_running(tmp_path, redis_port, changes) as api:
        page = page_of(api)
        steps = page.named(id="num_inference_steps")
        assert (steps["value"], steps["max"]) == ("7", "9")
        assert page.named(id="guidance_scale")["value"] == "2.5"
        assert page.named(id="file")["data-max-bytes"] == "4711"
        policy = get(api, "/").headers["content-security-policy"]
        assert "media-src 'self' https://files.example.com:8443;" in policy
        assert "127.0.0.1:9" not in policy


def test_without_an_s3_server_the_policy_names_the_bucket_on_aws() -> None:
    settings = Settings(
        storage_url="s3://videos", s3_region="eu-central-1", s3_access_key_id="a", s3_secret_access_key="b"
    )
    store = open_object_store(settings)
    assert origin_of(store.public_url) == origin_of(store.presign("jobs/1/video.mp4", 60))


def test_the_playground_can_be_turned_off_and_the_reference_stays(redis_port: int, tmp_path: Path) -> None:
    with api_running(tmp_path, redis_port, {"CINEMO_PLAYGROUND": "false"}) as api:
        assert [get(api, path).status_code for path in ("/", "/web/js/main.js", "/healthz")] == [404, 404, 200]
        assert {get(api, path).status_code for path in ("/docs", "/web/css/base.css", "/web/css/reference.css")} == {
            200
        }


def test_every_file_of_the_pages_is_packaged() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    patterns = project["tool"]["setuptools"]["package-data"]["service"]
    packaged = {path for pattern in patterns for path in (ROOT / "service").glob(pattern)}
    assert {FOLDER / name for name in FILES} <= packaged
