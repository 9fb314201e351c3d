"""The frame of rsclip's HTML pages: head, look, header and footer, the same for every page."""

import html
from collections.abc import Iterable
from string import Template

from rsclip.version import __version__

__all__ = ["render_page"]

_STYLE = """:root { color-scheme: light dark; --ink: #1d232b; --soft: #5b6572; --line: #d8dde3;
  --ground: #f6f7f9; --card: #fff; --link: #0b57a4; }
@media (prefers-color-scheme: dark) { :root { --ink: #e7eaee; --soft: #a2abb6; --line: #333b45;
  --ground: #14181d; --card: #1c2229; --link: #7db8f2; } }
* { box-sizing: border-box; }
html { scroll-behavior: smooth; }
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto; } }
body { margin: 0; font: 16px/1.5 system-ui, "Noto Sans", sans-serif; color: var(--ink);
  background: var(--ground); }
a { color: var(--link); }
a:focus-visible, summary:focus-visible, pre:focus-visible { outline: 3px solid var(--link);
  outline-offset: 2px; border-radius: 3px; }
.skip { position: absolute; left: -999px; }
.skip:focus { left: 1rem; top: 1rem; background: var(--card); padding: .5rem 1rem; z-index: 1; }
header, main, footer { max-width: 1180px; margin: 0 auto; padding: 1rem 1.25rem; }
h1 { font-size: 1.6rem; margin: .5rem 0 0; overflow-wrap: anywhere; }
h2 { font-size: 1.25rem; margin: 0; overflow-wrap: anywhere; }
section > h2 { margin-bottom: .8rem; }
.soft, footer, .none, caption { color: var(--soft); }
nav ul { display: flex; flex-wrap: wrap; gap: .3rem 1.1rem; padding: 0; margin: .6rem 0 0;
  list-style: none; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  padding: 1.1rem 1.25rem; margin: 0 0 1.5rem; scroll-margin-top: .75rem; }
.bar { display: flex; justify-content: space-between; gap: 1rem; align-items: baseline;
  flex-wrap: wrap; margin-bottom: .8rem; }
.bar nav a { margin-left: .9rem; }
img { display: block; max-width: 100%; height: auto; background: #fff; border-radius: 6px;
  border: 1px solid var(--line); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; margin: 1rem 0;
  font-variant-numeric: tabular-nums; }
caption { text-align: left; padding-bottom: .3rem; }
th, td { padding: .3rem .6rem; border-bottom: 1px solid var(--line); text-align: right; }
th:first-child { text-align: left; }
thead th { color: var(--soft); font-weight: 600; }
tbody th { font-weight: 400; }
.swatch { display: inline-block; width: 1em; height: 1em; margin-right: .6em;
  vertical-align: -.1em; border: 1px solid var(--line); border-radius: 3px; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; margin: 1rem 0; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
summary { cursor: pointer; color: var(--link); }
pre { overflow: auto; max-height: 32rem; font-size: .82rem; background: var(--ground);
  padding: .8rem; border-radius: 6px; }
.warning { border-left: 5px solid #d98e04; background: color-mix(in srgb, #d98e04 14%, transparent);
  border-radius: 4px; padding: .6rem .9rem; margin: 0 0 1rem; overflow-wrap: anywhere; }
.warning ul { margin: .3rem 0 0; padding-left: 1.2rem; }
@media (max-width: 600px) { header, main, footer { padding: .75rem; } section { padding: .8rem; }
  th, td { padding: .3rem .25rem; font-size: .8rem; } .wide img { max-width: none; width: 200%; }
  dl { grid-template-columns: 1fr; gap: 0; }
  dd { margin-bottom: .5rem; } nav ul { gap: .6rem 1.1rem; } }
@media print { .skip, .bar nav, details { display: none; } section { break-inside: avoid; } }
"""

_PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="rsclip $version">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>$title - rsclip</title>
<style>
$style</style>
</head>
<body>
<a class="skip" href="#$main_id">Skip to the $main_id</a>
<header>
<h1>$title</h1>
<p class="soft">$subtitle</p>
<nav aria-label="$main_id"><ul>$links</ul></nav>
</header>
<main id="$main_id" tabindex="-1">$main</main>
<footer>Made by rsclip $version. $footer</footer>
</body>
</html>
""")


def render_page(
    title: str,
    subtitle: str,
    main_id: str,
    sections: Iterable[tuple[str, str]],
    main: str,
    footer: str,
    *,
    style: str = "",
) -> str:
    """Return a page that holds everything itself and may ask the network for nothing.

    Args:
        title: Plain text.
        subtitle: HTML, as `main` and `footer` are.
        main_id: One word for what the page shows: its anchor, and where "Skip to" leads.
        sections: (id, plain name) of the places that the navigation leads to.
        main: The contents.
        footer: What stands below them.
        style: CSS beside that of every page.
    """
    links = "".join(
        f'<li><a href="#{anchor}">{html.escape(name)}</a></li>' for anchor, name in sections
    )
    return _PAGE.substitute(
        title=html.escape(title),
        subtitle=subtitle,
        main_id=main_id,
        links=links,
        main=main,
        footer=footer,
        style=_STYLE + style,
        version=__version__,
    )
