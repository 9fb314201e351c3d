"""Words and colours of the classes, for the class file beside the sample tiles."""

from rsclip.nano.scenes.classes import CLASSES

# English synonyms after the class's own name, and the colour in legends; in CLASSES order.
_ROWS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("house", "roof", "warehouse"), "#c0392b"),
    (("street", "highway"), "#7f8c8d"),
    (("river", "lake", "sea", "pond"), "#2e86de"),
    (("trees", "woodland"), "#1e6b2f"),
    (("grass", "meadow", "lawn"), "#8bc34a"),
    (("crop field", "farmland"), "#e1c340"),
    (("bare ground", "barren land"), "#8d6e4a"),
    (("car park", "pavement"), "#b9a9c4"),
    (("beach", "sand dune"), "#f5e6b3"),
    (("pool",), "#35e0e6"),
    (("solar farm", "photovoltaic panels"), "#27186e"),
    (("railroad", "train tracks"), "#5d3a52"),
    (("fruit trees", "plantation"), "#7a9a01"),
    (("glasshouse", "polytunnel"), "#f06fb0"),
)


def colour_table() -> dict[int, tuple[int, int, int, int]]:
    """Red, green, blue and alpha 0..255 of each label value 1..14; all else stays black."""
    return {
        value: (int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16), 255)
        for value, (_, colour) in enumerate(_ROWS, start=1)
    }


def classes_yaml() -> str:
    """The class file: the classes in order of their label values, from 1."""
    lines = ["# Label values 1 to 14 are the classes in this order; 255 is nodata.", "classes:"]
    for name, (words, colour) in zip(CLASSES, _ROWS, strict=True):
        lines.append(f"  - name: {name}")
        lines.append(f"    words: [{', '.join((name, *words))}]")
        lines.append(f'    colour: "{colour}"')
    return "\n".join(lines) + "\n"
