"""A figure's SVG as a part of the page: in the page's colours, with the page's own title."""

import re

from analysis.report.drawing import INK, RULE, TITLE, TITLE_POINTS


def inline_svg(svg: str) -> str:
    """Return an SVG for a page: its colours follow the page's, its groups tell their methods.

    Ids of groups are dropped: several figures on one page have the same.
    """
    body = svg[svg.index("<svg") :]
    body = re.sub(rf'<g id="{TITLE}">.*?</g>', "", body, flags=re.DOTALL)  # the page has its own
    body = re.sub(r'viewBox="0 0 (\S+) (\S+)"', _without_title, body, count=1)
    body = re.sub(r'<g id="method-(\d+)"', r'<g data-method="\1"', body)
    body = re.sub(r'<g id="[^"]*"', "<g", body)
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", body, count=1)
    body = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", body, count=1)
    return body.replace(INK, "currentColor").replace(RULE, "var(--rule)")


def _without_title(match: re.Match[str]) -> str:
    width, height = match.groups()
    return f'viewBox="0 {TITLE_POINTS} {width} {float(height) - TITLE_POINTS:g}"'
