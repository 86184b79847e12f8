"""Links to files of the repository, as `../configs/digits_mlp.toml`, become names of them.

In the repository they lead there; the site has no address of it, and so shows the path alone.
"""

import os
import pathlib

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

DOCS = pathlib.Path(__file__).parents[1]


class RepositoryLinks(SphinxPostTransform):
    """Before Sphinx would make downloads of them, or miss a page."""

    default_priority = 5

    def run(self, **kwargs: object) -> None:
        for node in list(self.document.findall(addnodes.pending_xref)):
            path = str(node.get("reftarget", "")).partition("#")[0]
            if not path.startswith("../"):
                continue
            here = (DOCS / self.env.docname).parent
            target = pathlib.Path(os.path.normpath(here / path))
            if target.exists() and DOCS not in target.parents:
                node.replace_self(nodes.literal(text=str(target.relative_to(DOCS.parent))))


def setup(app: Sphinx) -> dict[str, bool]:
    """Before references are resolved."""
    app.add_post_transform(RepositoryLinks)
    return {"parallel_read_safe": True}
