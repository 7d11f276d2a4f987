"""What the generated pages need of Sphinx: settings as objects, and references that resolve.

References to public names of this package lead to their pages. What is not public has none, but
has to exist. References to other packages (torch, numpy) would need their inventories from a
network, and words in single backticks may be names or anything else: both stay code.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from docutils import nodes
from sphinx.addnodes import desc_name, desc_signature, pending_xref
from sphinx.application import Sphinx
from sphinx.directives import ObjectDescription
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxRole

from site_builder.api import aliases, public_names


class SettingDirective(ObjectDescription[str]):
    """``.. setting:: episodes.ways``, with the anchor ``episodes-ways``."""

    def handle_signature(self, sig: str, signode: desc_signature) -> str:
        """Show the key as it is typed."""
        signode += desc_name(sig, sig)
        return sig

    def add_target_and_index(self, name: str, sig: str, signode: desc_signature) -> None:
        """Make it an object of the search, an entry of the index, and a target."""
        anchor = nodes.make_id(name)
        signode["ids"].append(anchor)
        self.state.document.note_explicit_target(signode)
        self.env.domains.standard_domain.note_object("setting", name, anchor, location=signode)
        self.indexnode["entries"].append(("single", name, anchor, "", None))


class AnchorRole(SphinxRole):
    """``:anchor:`text <id>```: code that can be linked to."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Return the code with its id."""
        text, _, rest = self.text.partition(" <")
        link = nodes.reference("", "", refid=nodes.make_id(rest.rstrip(">")), internal=True)
        target = nodes.target("", "", ids=[link["refid"]])
        link += nodes.literal(text, text)
        self.inliner.document.note_explicit_target(target)
        return [target, link], []


def skip_of_others(
    app: Sphinx, what: str, name: str, value: object, skip: bool, options: object
) -> bool | None:
    """Leave out methods that scikit-learn adds: they refer to pages of its own."""
    return True if str(getattr(value, "__module__", "")).startswith("sklearn.") else None


def show_formulas(
    app: Sphinx, what: str, name: str, value: object, options: object, lines: list[str]
) -> None:
    """Make paragraphs that are indented, as formulas are, literal blocks."""
    before, shown = "", []
    for line in lines:
        starts = line.startswith("    ") and not (shown and shown[-1].strip())
        if starts and before[:1] not in ("", " ", "-", ">") and not before.endswith("::"):
            shown += ["::", ""]
        shown.append(line)
        before = line or before
    lines[:] = shown


def resolve(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, content: nodes.Element
) -> nodes.Node | None:
    """Resolve names as they are known within the package; others stay code."""
    if node.get("refdomain") != "py":
        return None
    target = node["reftarget"]
    known: dict[str, str] = app.fewshot_aliases  # type: ignore[attr-defined]
    owner, _, member = target.rpartition(".")
    for full in (known.get(target), f"{known[owner]}.{member}" if owner in known else None):
        if full is not None:
            domain = env.domains.python_domain
            found = domain.resolve_xref(
                env, node["refdoc"], app.builder, "obj", full, node, content
            )
            if found is not None:
                return found
    of_others = not target.startswith("fewshot.")
    return content if node["reftype"] == "obj" or of_others or exists(target) else None


def exists(target: str) -> bool:
    """Whether a dotted name can be imported: what is not public has no page, but has to exist."""
    parts = target.split(".")
    for number in range(len(parts), 0, -1):
        try:
            value: object = import_module(".".join(parts[:number]))
        except ImportError:
            continue
        return all((value := getattr(value, part, None)) is not None for part in parts[number:])
    return False


def setup(app: Sphinx) -> dict[str, Any]:
    """Register all of it."""
    app.fewshot_aliases = aliases(public_names())  # type: ignore[attr-defined]
    app.add_object_type("setting", "setting", objname="setting")
    app.add_directive_to_domain("std", "setting", SettingDirective, override=True)
    app.add_role("anchor", AnchorRole())
    app.connect("autodoc-skip-member", skip_of_others)
    app.connect("autodoc-process-docstring", show_formulas, priority=100)  # before numpydoc
    app.connect("missing-reference", resolve)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
