"""The look of a study's page beside that of every page, and its footer."""

from string import Template

__all__ = ["FOOTER", "STYLE"]

STYLE = Template(""".charts { display: grid; grid-template-columns:
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
""")

FOOTER = """What is plotted follows section 3 of ClearCLIP (Lan et al.,
ECCV 2024); every number stands in the CSV files beside this page."""
