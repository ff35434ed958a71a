"""Docstrings and code as HTML."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Sequence
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_inline import StateInline, emphasis
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from markupsafe import Markup
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import JsonLexer, PythonLexer

_FORMATTER: Final = HtmlFormatter(nowrap=True)
_JSON: Final = JsonLexer(stripnl=False, ensurenl=False)
_PYTHON: Final = PythonLexer(stripnl=False, ensurenl=False)


def json_code(data: object) -> Markup:
    """Return data as highlighted JSON."""
    return Markup(highlight(json.dumps(data, indent=2, ensure_ascii=False), _JSON, _FORMATTER))  # noqa: S704 - pygments escapes


def python_code(source: str) -> Markup:
    """Return highlighted Python code."""
    return Markup(highlight(source, _PYTHON, _FORMATTER))  # noqa: S704 - as above


def prose(text: str) -> Markup:
    """Return the text of a docstring as HTML."""
    return Markup(_MARKDOWN.render(_as_markdown(text)))  # noqa: S704 - no rule of the parser lets HTML through


def inline(text: str) -> Markup:
    """Return one paragraph of a docstring, without the paragraph's element."""
    return Markup(_MARKDOWN.renderInline(_as_markdown(text)))  # noqa: S704 - as above


def plain(text: str) -> str:
    """Return one paragraph of a docstring without its markup."""
    return re.sub(r"`+|\*\*", "", text)


def _emphasis(state: StateInline, silent: bool) -> bool:
    """Read emphasis by asterisks only: names have underscores."""
    return state.src[state.pos] == "*" and emphasis.tokenize(state, silent)


def _link(renderer: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
    """Render a link that does not say from which page of an internal site it comes."""
    tokens[index].attrSet("rel", "noreferrer")
    return renderer.renderToken(tokens, index, options, env)


def _markdown() -> MarkdownIt:
    """Return a parser of what docstrings use of Markdown; everything else stays the text that it is."""
    # Not `link`: a link shows where it leads, `[text](address)` does not.
    markdown = MarkdownIt("zero", {"linkify": True}).enable(["fence", "list", "backticks", "emphasis", "linkify"])
    markdown.inline.ruler.at("emphasis", _emphasis)
    markdown.add_render_rule("link_open", _link)
    if markdown.linkify is None:  # an extra of markdown-it-py
        raise ModuleNotFoundError("No module named 'linkify_it'", name="linkify_it")
    markdown.linkify.set({"fuzzy_link": False, "fuzzy_email": False, "fuzzy_ip": False})
    for scheme in ("ftp:", "mailto:", "//"):
        markdown.linkify.add(scheme, None)
    return markdown


_MARKDOWN: Final = _markdown()
_RESTRUCTURED: Final = re.compile(
    r"(?P<code>^```[\s\S]*?(?:^```[ \t]*$|\Z)|``.+?``)"  # first, so that nothing in it is taken for one of the others
    r"|(?P<session>^>>> .*(?:\n.+)*)"
    r"|::[ \t]*\n(?:[ \t]*\n)+(?P<literal>(?:[ \t]+\S.*(?:\n|\Z)|[ \t]*\n)+)"
    r"|:\w+:`~?(?P<role>[^`<>]+)`",
    re.MULTILINE,
)


def _as_markdown(text: str) -> str:
    """Write what docstrings use of reStructuredText (literal blocks, roles, sessions of an interpreter) as Markdown."""

    def written(match: re.Match[str]) -> str:
        found = match[match.lastgroup or 0]
        if match.lastgroup == "code":
            return found
        if match.lastgroup == "role":
            return f"`{found}`"
        fence = "```"
        while fence in found:
            fence += "`"
        colon = ":" if match.lastgroup == "literal" else ""
        return f"{colon}\n\n{fence}\n{textwrap.dedent(found).strip()}\n{fence}\n\n"

    return _RESTRUCTURED.sub(written, text)
