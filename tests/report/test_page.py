"""The page as a file: a document that loads nothing; its script and styles are allowed by their hashes."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import zlib
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest
from msgspec.structs import replace

import gptrace
from gptrace.model.quiet_torch import torch
from gptrace.record import Page, Trace
from gptrace.report import View, render
from tests.models.hugging_face import encoder_and_decoder, vision_transformer

HOSTILE = "</script><img src=x onerror=alert(1)>\u202e&<b>\x1b[31m"


class Elements(HTMLParser):
    """The elements of a document: the name, the attributes and the text of each, in order."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None], str]] = []
        self.feed(document)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs), ""))

    def handle_endtag(self, tag: str) -> None:
        self.found.append((f"/{tag}", {}, ""))

    def handle_data(self, data: str) -> None:
        if self.found:
            tag, attributes, text = self.found[-1]
            self.found[-1] = (tag, attributes, text + data)

    def all(self, tag: str) -> list[tuple[dict[str, str | None], str]]:
        return [(attributes, text) for name, attributes, text in self.found if name == tag]


@pytest.fixture(scope="module")
def page() -> Page:
    return gptrace.page("Hello, I am", model="tiny", lang="en")


def hash_of(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def policy_of(elements: Elements) -> dict[str, str]:
    (content,) = [
        attributes["content"] or ""
        for attributes, _ in elements.all("meta")
        if attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    return dict(rule.partition(" ")[::2] for rule in content.split("; "))


def test_the_policy_allows_the_files_own_script_and_styles_and_nothing_else(page: Page) -> None:
    elements = Elements(render(page, "html"))
    (data, _), (_, script) = elements.all("script")
    ((_, style),) = elements.all("style")
    policy = policy_of(elements)
    assert policy.pop("default-src") == "'none'"
    assert policy.pop("script-src") == hash_of(script)
    assert policy.pop("style-src") == hash_of(style)
    assert policy.pop("img-src") == "data: blob:"
    assert policy == {"base-uri": "'none'", "form-action": "'none'"}
    assert data == {"type": "application/octet-stream", "id": "gptrace-page"}
    # Nothing names a place to load from.
    assert not any(set(attributes) & {"src", "href"} for _, attributes, _ in elements.found)


def test_an_encoding_that_lacks_characters_leaves_the_script_and_its_hash_right(page: Page) -> None:
    document = render(page, "html", View(encoding="ascii"))
    elements = Elements(document.encode("ascii", "xmlcharrefreplace").decode())
    (_, script), (_, style) = elements.all("script")[1], elements.all("style")[0]
    policy = policy_of(elements)
    assert (policy["script-src"], policy["style-src"]) == (hash_of(script), hash_of(style))
    spelled = re.sub(r"\\u([0-9a-f]{4})", lambda match: chr(int(match[1], 16)), script)
    whole = Elements(render(page, "html")).all("script")[1][1]
    assert spelled.count("逐层预测") == whole.count("逐层预测") > 0


def test_the_data_of_the_file_is_the_json_of_the_page(page: Page) -> None:
    (_, data), _ = Elements(render(page, "html")).all("script")
    read = json.loads(zlib.decompress(base64.b64decode(data)))
    expected = page.to_dict()
    assert read["schema"] == "gptrace.page/1"
    assert read["trace"]["calls"][1]["outputs"][0]["dims"] == ["batch", "seq_len", "emb_dim"]
    assert read["prompts"][0]["projection"]["logits"] == expected["prompts"][0]["projection"]["logits"]
    for point, exact in zip(read["prompts"][0]["stream"], expected["prompts"][0]["stream"], strict=True):
        assert point["norms"] == pytest.approx(exact["norms"], rel=1e-6)


def test_without_its_script_the_page_says_the_main_line_and_the_next_tokens(page: Page) -> None:
    document = render(page, "html")
    (plain,) = re.findall(r"<noscript>\n(.*)</noscript>", document, re.DOTALL)
    text = html.unescape(plain)
    assert "[batch, seq_len] → [batch, seq_len, emb_dim] → [batch, seq_len, vocab_size]" in text
    assert all(str(candidate.text) in text for candidate in page.trace.predictions[0].candidates)
    chinese = render(page, "html", View(lang="zh"))
    assert '<html lang="zh-CN">' in chinese
    assert "运行脚本时" in chinese


def test_nothing_from_outside_is_markup() -> None:
    model = torch.nn.ModuleDict({"<img src=x>": torch.nn.Linear(2, 2)})
    model.forward = lambda x: model["<img src=x>"](x)
    with pytest.raises(RuntimeError), gptrace.watch(model) as trace:
        model(torch.ones(1, 3))
    spoiled = replace(
        trace,
        model=replace(trace.model, name=HOSTILE),
        inputs=(replace(gptrace.trace(HOSTILE, model="tiny").inputs[0]),),
        notes=(HOSTILE,),
    )
    document = render(spoiled.page(), "html")
    elements = Elements(document)
    assert len(elements.all("script")) == 2
    assert not elements.all("img")
    assert not elements.all("b")
    # Control characters are an error in HTML; the script writes its own as escapes.
    assert not re.findall(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", document)
    assert Elements(spoiled.page()._repr_html_()).all("iframe")


def test_a_notebook_shows_the_page_in_a_frame_that_reaches_nothing(page: Page) -> None:
    shown = page._repr_mimebundle_()
    assert shown["text/plain"] == repr(page) == "<Page of <Trace of GPTModel: 39 calls>>"
    ((attributes, _),) = Elements(shown["text/html"]).all("iframe")
    assert attributes["sandbox"] == "allow-scripts allow-downloads"
    assert attributes["title"] == "gptrace run: Hello, I am"
    assert attributes["srcdoc"] == render(page, "html")


def test_a_trace_alone_has_a_page_and_says_what_it_lacks() -> None:
    trace = gptrace.trace("Hello", model="tiny", measure=["ops"])
    page = trace.page(lang="zh")
    assert (page.language, page.trace, page.prompts) == ("zh", trace, (type(page.prompts[0])(),))
    assert page.graph.edges
    assert {each.view for each in page.left_out} == {"why", "attention", "lens", "stream", "loss"}
    assert render(trace, "html", View(lang="zh")) == render(page, "html")
    without = gptrace.trace("Hello", model="tiny").page()
    assert "the trace was recorded without operations, which --ops records" in {
        each.reason for each in without.left_out if each.view == "map"
    }


def test_models_that_are_no_gpt_have_a_page() -> None:
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(),
        torch.nn.Linear(4, 2),
    )  # fmt: skip
    with gptrace.watch(network, measure="all") as trace:
        network(torch.ones(1, 3, 8, 8))
    page = trace.page()
    assert [node.label for node in page.graph.nodes if node.kind == "module"][:2] == ["Sequential", "0"]
    assert page.prompts == ()
    assert "<title>gptrace run</title>" in render(page, "html")


@pytest.mark.parametrize("build", [vision_transformer, encoder_and_decoder])
def test_other_transformers_have_a_page(build: Callable[[], tuple[Any, dict[str, torch.Tensor]]]) -> None:
    model, inputs = build()
    with gptrace.watch(model.eval(), measure="all") as trace, torch.no_grad():
        model(**inputs)
    page = trace.page()
    assert page.graph.edges
    assert {each.view for each in page.left_out} == {"why", "attention", "lens", "stream", "loss"}
    assert f"{len(trace.calls)} calls" in render(page, "html")


def test_as_text_a_page_is_its_trace_and_what_it_lacks(page: Page) -> None:
    assert str(page) == str(page.trace)
    text = render(Trace.page(page.trace), "table", View(lang="zh"))
    assert "注意力视图缺少的部分：这个网页只由一份跟踪结果生成" in text
    assert render(page, "csv") == render(page.trace, "csv")
