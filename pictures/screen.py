# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 Seed 1f3ad1c2 maintainers.
"""Draws a terminal as SVG. The source has a line "|TEXT" for each line of the terminal, and then a line ":COLOURS" for
each, with a letter of COLOURS for each character; lines with # are comments."""

from xml.sax.saxutils import escape

# Of a character, in points. A font may be wider or narrower; textLength keeps the columns in place.
WIDTH, HEIGHT, SIZE = 8.4, 18, 14
MARGIN = 14
BACKGROUND, PLAIN = "#1f2328", "#e6edf3"
# The letter: (text, background, weight).
COLOURS = {
    ".": (PLAIN, None, "normal"),
    "b": (PLAIN, None, "bold"),
    "d": ("#8b949e", None, "normal"),
    "t": ("#1f2328", "#b1bac4", "normal"),
    "g": ("#3fb950", None, "normal"),
    "y": ("#d29922", None, "normal"),
    "r": ("#f85149", None, "normal"),
    "c": ("#39c5cf", None, "normal"),
}
# Blocks are drawn as rectangles, since fonts leave gaps between them: the part of the height, and the opacity.
BLOCKS = {character: ((index + 1) / 8, 1.0) for index, character in enumerate("▁▂▃▄▅▆▇█")} | {"░": (1.0, 0.2)}


def parse(source):
    """[(text, colours)] of each line; both have the same length."""
    lines = [line for line in source.split("\n") if line and not line.startswith("#")]
    texts = [line[1:] for line in lines if line.startswith("|")]
    colours = [line[1:] for line in lines if line.startswith(":")]
    if not texts or len(texts) != len(colours) or len(texts) + len(colours) != len(lines):
        raise ValueError("a screen needs as many lines of text as of colours")
    for text, line in zip(texts, colours):
        if len(text) > len(line) or set(line) - set(COLOURS):
            raise ValueError(f"the colours of this line are wrong: {text}")
    return [(text.ljust(len(line)), line) for text, line in zip(texts, colours)]


def runs(text, colours):
    """(start, text, colour) of each part of a line that is drawn alike. Spaces end a part of text."""
    def kind(index):
        return (colours[index], text[index] in BLOCKS, text[index] == " ")
    start = 0
    for index in range(1, len(text) + 1):
        if index == len(text) or kind(index) != kind(start):
            yield start, text[start:index], colours[start]
            start = index


def number(value):
    return f"{value:.2f}".rstrip("0").rstrip(".")


def rectangle(x, y, width, height, fill, opacity=1.0):
    faint = f' fill-opacity="{number(opacity)}"' if opacity < 1 else ""
    return f'<rect x="{number(x)}" y="{number(y)}" width="{number(width)}" height="{number(height)}" fill="{fill}"{faint}/>'


def draw_line(top, text, colours):
    # In one piece, since there would be seams between several.
    for start, part, letter in runs(" " * len(colours), colours):
        if COLOURS[letter][1]:
            yield rectangle(MARGIN + start * WIDTH, top, len(part) * WIDTH, HEIGHT, COLOURS[letter][1])
    for start, part, letter in runs(text, colours):
        colour, _, weight = COLOURS[letter]
        left, width = MARGIN + start * WIDTH, len(part) * WIDTH
        if part[0] in BLOCKS:
            for index, character in enumerate(part):
                height, opacity = BLOCKS[character]
                yield rectangle(left + index * WIDTH, top + 2 + (HEIGHT - 4) * (1 - height), WIDTH - 0.6, (HEIGHT - 4) * height,
                                colour, opacity)
        elif part.strip():
            bold = ' font-weight="bold"' if weight == "bold" else ""
            yield (f'<text x="{number(left)}" y="{number(top + 13.5)}" textLength="{number(width)}" '
                   f'lengthAdjust="spacingAndGlyphs" fill="{colour}"{bold}>{escape(part)}</text>')


def svg(source):
    """The text of the SVG file."""
    lines = parse(source)
    width = 2 * MARGIN + max(len(text) for text, _ in lines) * WIDTH
    height = 2 * MARGIN + len(lines) * HEIGHT
    parts = ['<?xml version="1.0" encoding="UTF-8"?>',
             f'<svg width="{number(width)}pt" height="{number(height)}pt" viewBox="0 0 {number(width)} {number(height)}" '
             f'xmlns="http://www.w3.org/2000/svg" font-family="DejaVu Sans Mono,Menlo,Consolas,monospace" font-size="{SIZE}">',
             f'<rect width="{number(width)}" height="{number(height)}" rx="8" fill="{BACKGROUND}"/>']
    for index, (text, colours) in enumerate(lines):
        parts += draw_line(MARGIN + index * HEIGHT, text, colours)
    return "\n".join(parts + ["</svg>", ""])
