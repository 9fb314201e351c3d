"""The page of `rsclip view` without its contents: `string.Template`s of HTML, and their style."""

from string import Template

__all__ = ["FINDINGS", "PAGE", "SCENE", "STYLE"]

STYLE = """:root { color-scheme: light dark; --ink: #1d232b; --soft: #5b6572; --line: #d8dde3;
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
@media print { .skip, .bar nav, details { display: none; } section { break-inside: avoid; } }
"""
"""The look of rsclip's pages, light and dark."""

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
    + """</style>
</head>
<body>
<a class="skip" href="#scenes">Skip to the scenes</a>
<header>
<h1>$title</h1>
<p class="soft">$count, segmented by words with rsclip</p>
<nav aria-label="Scenes"><ul>$links</ul></nav>
</header>
<main id="scenes" tabindex="-1">$scenes</main>
<footer>Made by rsclip $version.
Areas are true ground areas; shares are of the valid pixels.</footer>
</body>
</html>
"""
)

SCENE = Template("""
<section id="scene-$index" aria-labelledby="name-$index">
<div class="bar"><h2 id="name-$index">$stem</h2>
<nav aria-label="Neighbours of $stem">$nav <a href="#">top</a></nav></div>
$picture
$findings
<details><summary>Run record</summary>
<pre tabindex="0" aria-label="Run record of $stem">$record</pre></details>
</section>
""")

FINDINGS = Template("""<div class="wide"><table>
<caption>Areas</caption>
<thead><tr><th scope="col">Class</th><th scope="col">Pixels</th><th scope="col">Hectares</th>
<th scope="col">Share</th><th scope="col">Mean confidence</th></tr></thead>
<tbody>$rows</tbody>
</table></div>
<dl>$facts</dl>
""")
