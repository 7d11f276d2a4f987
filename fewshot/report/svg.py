"""SVG documents as elements of an HTML page."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

# matplotlib puts these into a style sheet for "*", which in a page would be every element.
LINE_STYLE = "stroke-linejoin: round; stroke-linecap: butt"


def inline_svg(document: str, prefix: str, title: str, description: str) -> str:
    """An SVG document as an HTML element: no prolog, ids of its own, words for screen readers.

    Parameters
    ----------
    document : str
        As written by matplotlib.
    prefix : str
        Put before every id, for several figures share a page.
    title, description : str
        Read out in place of the picture.
    """
    root = ET.fromstring(document)
    for element in list(root.iter()):
        for child in list(element):
            if _local(child.tag) in ("metadata", "style"):
                element.remove(child)
    for element in root.iter():
        element.tag = _local(element.tag)
        element.attrib = {_local(k): _own(k, v, prefix) for k, v in element.attrib.items()}
    width = float(root.attrib.pop("width").removesuffix("pt")) * 96 / 72
    del root.attrib["height"]
    for position, (tag, text) in enumerate((("title", title), ("desc", description))):
        words = ET.Element(tag, {"id": f"{prefix}-{tag}"})
        words.text = text
        root.insert(position, words)
    root.attrib |= {
        "role": "img",
        "aria-labelledby": f"{prefix}-title",
        "aria-describedby": f"{prefix}-desc",
        # Below this width the numbers would be too small to read: the page scrolls it instead.
        "style": f"{LINE_STYLE}; width: {width:.0f}px; min-width: {0.75 * width:.0f}px",
    }
    return ET.tostring(root, encoding="unicode")


def _own(name: str, value: str, prefix: str) -> str:
    """The attribute's value with ids, and what refers to them, prefixed."""
    if name == "id":
        return f"{prefix}-{value}"
    if _local(name) == "href" and value.startswith("#"):
        return f"#{prefix}-{value[1:]}"
    return re.sub(r"url\(#([^)]*)\)", rf"url(#{prefix}-\1)", value)


def _local(name: str) -> str:
    # An HTML parser knows the namespaces of svg elements by itself.
    return name.rpartition("}")[2]
