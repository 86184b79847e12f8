"""The site: `pip install -e ".[docs]" && sphinx-build -W docs build/site`.

Nothing on a page asks another host for anything: fonts and scripts are the theme's own, the search
is Sphinx's, and mathematics is MathML by `_ext/mathml.py`.
"""

import pathlib
import sys

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))

import jaxopt_lab  # noqa: E402

project = "jaxopt_lab"
version = release = jaxopt_lab.__version__
html_title = "jaxopt_lab"
language = "en"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "mathml",
    "docstrings",
    "signatures",
    "family",
    "toml_reference",
    "repository_links",
]
exclude_patterns = ["_ext"]
# A page of the course goes from ## to ### as its chapters do; `Metric` is in two families.
suppress_warnings = ["myst.header", "ref.python"]

myst_enable_extensions = ["dollarmath", "colon_fence", "fieldlist", "attrs_block"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
napoleon_use_ivar = True
python_maximum_signature_line_length = 80
toc_object_entries_show_parents = "hide"

html_theme = "sphinx_book_theme"
html_math_renderer = "mathml"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_copyright = False
html_theme_options = {
    "show_navbar_depth": 1,
    "show_toc_level": 2,
    "footer_content_items": "",
    "navbar_persistent": [],
    "use_download_button": False,
    "use_fullscreen_button": False,
    "pygments_light_style": "default",
}
