"""The page of a study without its contents: a `string.Template` of HTML."""

from string import Template

from rsclip.outputs.view_page import STYLE

__all__ = ["PAGE"]

PAGE = Template(
    """<!DOCTYPE html>
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
"""
    + STYLE
    + """.charts { display: grid; grid-template-columns:
  repeat(auto-fit, minmax(min(100%, 440px), 1fr));
  gap: 1.2rem; margin: 1rem 0; }
.chart { width: 100%; max-width: 680px; height: auto;
  font: 11px system-ui, "Noto Sans", sans-serif; }
.chart text { fill: var(--soft); }
.chart .title { fill: var(--ink); font-size: 13.5px; font-weight: 600; }
.chart .grid { stroke: var(--line); }
.maps { display: grid; grid-template-columns: repeat($columns, minmax(96px, 1fr)); gap: .5rem; }
.maps figure { margin: 0; }
.maps figcaption { font-size: .8rem; color: var(--soft); overflow-wrap: anywhere; }
.maps img { width: 100%; image-rendering: pixelated; }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; padding: 0; margin: .8rem 0 0;
  list-style: none; }
td.best { font-weight: 700; }
</style>
</head>
<body>
<a class="skip" href="#study">Skip to the study</a>
<header>
<h1>$title</h1>
<p class="soft">$subtitle</p>
<nav aria-label="Parts"><ul>$links</ul></nav>
</header>
<main id="study" tabindex="-1">$sections</main>
<footer>Made by rsclip $version. What is plotted follows section 3 of ClearCLIP (Lan et al.,
ECCV 2024); every number stands in the CSV files beside this page.</footer>
</body>
</html>
"""
)
