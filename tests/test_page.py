"""The page of `serve` in a real headless Chromium: `make browser`."""

import base64
import threading

import pytest

import kerastl as tl
from kerastl.answers import Answers
from kerastl.local_server import LocalServer
from kerastl.saving import SavedModel

pytestmark = pytest.mark.browser
NAMES = ["<img src=x onerror=alert(1)>", "チューリップ", "a very long name of a class that does not end soon " * 2]
DROP = """async ([name, content]) => {
    const data = new DataTransfer();
    data.items.add(new File([Uint8Array.from(atob(content), letter => letter.charCodeAt(0))], name));
    document.dispatchEvent(new DragEvent("drop", {dataTransfer: data, bubbles: true, cancelable: true}));
}"""


@pytest.fixture(scope="module")
def server(make_toy, data, ordered_data):
    model = make_toy()
    tl.train_head(model, data, epochs=3, verbose=0)
    answers = Answers(SavedModel(model, NAMES), ordered_data.train)
    with LocalServer(answers, {"name": "model.keras", "class_names": NAMES}, 0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(params=[(1280, 900), (390, 844)], ids=["desk", "phone"])
def page(request, browser, server):
    """The page, open; at the end nothing has gone wrong in the browser, and nobody else was asked."""
    width, height = request.param
    here, complaints = f"http://127.0.0.1:{server.port}/", []
    context = browser.new_context(viewport={"width": width, "height": height})
    context.grant_permissions(["camera"], origin=here)
    page = context.new_page()
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: (complaints.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda sent: sent.url.startswith((here, "data:", "blob:")) or complaints.append(sent.url))
    page.goto(here)
    yield page
    context.close()
    assert [complaint for complaint in complaints if "400 (Bad Request)" not in complaint] == []


def shown(page) -> int:
    """How many pictures are drawn."""
    return page.evaluate(
        "[...document.images].filter(image => image.checkVisibility() && image.complete && image.naturalWidth).length"
    )


def test_a_chosen_photo_gives_classes_a_heat_map_and_the_nearest_pictures(page, picture_folder):
    page.set_input_files("#file", picture_folder / "blue" / "00.jpg")
    page.wait_for_selector("#answer:not([hidden])")
    assert page.locator("#guesses tr").count() == 3
    said = page.inner_text("body")
    assert all(name.strip() in said for name in NAMES)
    assert shown(page) == 2 + 5
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_dropped_photo_is_answered_and_a_file_that_is_none_is_refused_in_words(page, picture_folder):
    photo = base64.b64encode((picture_folder / "red" / "01.png").read_bytes()).decode()
    page.evaluate(DROP, ["photo.png", photo])
    page.wait_for_selector("#answer:not([hidden])")
    page.evaluate(DROP, ["notes.txt", base64.b64encode(b"no picture").decode()])
    page.wait_for_selector("#said:has-text('Cannot read the file as an image')")
    assert not page.is_visible("#answer")


def test_a_file_that_is_too_large_is_not_sent(page):
    page.wait_for_selector(f"#classes:has-text('{NAMES[1]}')")
    sent = []
    page.on("request", lambda request: sent.append(request.url))
    page.evaluate("ask(new Blob([new Uint8Array(mostBytes + 1)]))")
    assert "At most 30 MB" in page.inner_text("#said")
    assert sent == []


def test_the_camera_takes_a_picture_and_goes_out(page):
    page.click("#camera")
    page.click("#shoot")  # waits until it is there: the camera gives pictures
    page.wait_for_selector("#answer:not([hidden])")
    assert shown(page) == 2 + 5
    assert not page.is_visible("#video")
    assert page.evaluate("document.getElementById('video').srcObject.getTracks()[0].readyState") == "ended"


def test_another_page_of_the_same_browser_gets_no_answer(browser, server):
    page = browser.new_page()
    page.route("http://evil.example/", lambda route: route.fulfill(body="<p>evil</p>", content_type="text/html"))
    page.goto("http://evil.example/")
    said = page.evaluate(
        """async address => {
            const asked = [fetch(address + "model.json"), fetch(address + "picture", {method: "POST", body: "x"})];
            return (await Promise.allSettled(asked)).map(answer => answer.status);
        }""",
        f"http://127.0.0.1:{server.port}/",
    )
    assert said == ["rejected", "rejected"]
    page.close()
