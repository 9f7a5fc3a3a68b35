"""How the book is built: `python tools/build_docs.py` calls Sphinx with this file.

The pages are in two folders, docs/ and notebooks/, and link to each other as they do in the
repository. So the repository is the source folder, and this file only says which parts of it
belong to the book.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path[:0] = [str(HERE / "_ext"), str(ROOT)]

project = "Superheroes by fine-tuning"
author = "the authors of the course"
html_title = project
version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
release = version

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx_design",
    "sphinx_copybutton",
    "book_pages",
    "course_notebooks",
    "data_tables",
    "helpers_reference",
]
root_doc = "docs/index"
include_patterns = ["docs/*.md", "notebooks/[0-9][0-9]_*.ipynb"]
# Folders that need not even be looked into.
exclude_patterns = [
    ".*",
    "bench",
    "build",
    "data",
    "docs/_*",
    "course",
    "helpers",
    "heroes",
    "sandbox",
    "scripts",
    "tests",
    "tools",
    "**/.ipynb_checkpoints",
]

# Every reference has to lead somewhere, but for the types in signatures: most belong to packages
# that are documented elsewhere, and stay plain text.
nitpicky = True
nitpick_ignore_regex = [("py:.*", ".*")]

# Quotes and dashes stay as they were typed: half of them belong to commands.
smartquotes = False

# The stored outputs are the truth: nothing is run here.
nb_execution_mode = "off"
nb_merge_streams = True
nb_render_markdown_format = "gfm"
# An error shown in short is no traceback that a lexer could colour.
nb_render_error_lexer = "text"
nb_ipywidgets_js = {}
myst_heading_anchors = 3
myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist"]
copybutton_exclude = ".linenos, .gp, .go"
copybutton_selector = "div.cell_input pre, div[class*=highlight-] pre"

autodoc_typehints = "none"  # the docstrings say what a beginner needs
autodoc_member_order = "bysource"
python_display_short_literal_types = True
python_maximum_signature_line_length = 80
add_module_names = False

html_theme = "sphinx_book_theme"
html_static_path = ["_static"]
templates_path = ["_templates"]
html_css_files = ["fonts.css", "book.css"]
html_js_files = ["book.js"]
html_logo = "_static/logo.svg"
html_favicon = "_static/favicon.svg"
html_show_sourcelink = True
html_sourcelink_suffix = ""
html_copy_source = True
html_use_index = False
html_domain_indices = False
html_show_sphinx = False
html_show_copyright = False
html_theme_options = {
    "logo": {"text": project},
    "home_page_in_toc": False,
    "navbar_persistent": [],
    "show_navbar_depth": 1,
    "show_toc_level": 2,
    "toc_title": "On this page",
    "use_download_button": True,
    "use_fullscreen_button": False,
    "footer_content_items": ["extra-footer.html"],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
    "extra_footer": "MIT licence. All results come from real runs and are stored in the notebooks.",
}
html_context = {"default_mode": "auto"}
